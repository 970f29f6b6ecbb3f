//needs pages
static int none(int process, int page)
{
	return !(entry(process, page) & (PRESENT | SWAP));
}
