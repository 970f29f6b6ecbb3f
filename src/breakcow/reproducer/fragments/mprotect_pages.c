//needs processes
static long mprotect_pages(int process, int first, int count, int protection)
{
	return CALL(process, SYS_mprotect, (long)at[process][first], BYTES(first, count), protection);
}
