//needs pages
/* Every byte of the page has the value. A hole is not touched. */
static int holds(int process, int page, int value)
{
	char path[32], bytes[PAGE], wanted[PAGE];
	long length;
	int mem;

	if (!frame(process, page))
		return entry(process, page) & SWAP ? UNSEEN : NO;
	snprintf(path, sizeof(path), "/proc/%d/mem", pid[process]);
	mem = must(open(path, O_RDONLY), path);
	length = pread(mem, bytes, PAGE, (long)at[process][page]);
	close(mem);
	memset(wanted, value, PAGE);
	return length == PAGE ? !memcmp(bytes, wanted, PAGE) : UNSEEN;
}
