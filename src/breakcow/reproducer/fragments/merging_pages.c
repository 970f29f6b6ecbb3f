//needs processes text
static int merging_pages(int process, long wanted)
{
	char path[64], text[32];

	snprintf(path, sizeof(path), "/proc/%d/ksm_merging_pages", pid[process]);
	return read_text(path, text, sizeof(text)) < 0 ? UNSEEN : atol(text) == wanted;
}
