//needs processes
//after fill
static long write_page(int process, int page, int value)
{
	long done;

	memset(desk[process], value, PAGE);
	done = CALL(process, COPY, (long)at[process][page], (long)desk[process], PAGE);
//with fill
	fill(process, page);
//end
	return done;
}
