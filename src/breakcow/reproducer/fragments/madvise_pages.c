//needs processes
static long madvise_pages(int process, int first, int count, int advice)
{
	return CALL(process, SYS_madvise, (long)at[process][first], BYTES(first, count), advice);
}
