//needs huge_pages
/* After the first store: KSM shall find nothing equal in what is left of the huge page. */
static void fill(int process, int page)
{
	static int filled[PAGES];
	static long number;
	long offset;
	int rest;

	for (rest = page; rest < PAGES && !left[rest]; rest++)
		;
	if (rest == PAGES || filled[rest]++ || (long)at[process][rest] - (long)at[process][page] >= HUGE)
		return;
	for (offset = 0; offset < left[rest]; offset += PAGE) {
		*(long *)desk[process] = ++number;
		CALL(process, COPY, (long)at[process][rest] + offset, (long)desk[process], sizeof(long));
	}
}
