//needs processes
static long munmap_pages(int process, int first, int count)
{
	return CALL(process, SYS_munmap, (long)at[process][first], BYTES(first, count));
}
