//needs value_of
static long read_page(int process, int page)
{
	long done = CALL(process, COPY, (long)desk[process], (long)at[process][page], PAGE);

	return done ? done : value_of(desk[process]);
}
