//needs processes
static long write_page(int process, int page, int value)
{
	memset(desk[process], value, PAGE);
	return CALL(process, COPY, (long)at[process][page], (long)desk[process], PAGE);
}
