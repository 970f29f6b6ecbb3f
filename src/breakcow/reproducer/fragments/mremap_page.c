//needs processes
/* To an address where nothing was before. */
static long mremap_page(int process, int page)
{
	long area = fresh_area();
	long done = CALL(process, SYS_mremap, (long)at[process][page], PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, area);

	if (done < 0)
		return done;
	at[process][page] = (char *)area;
	return 0;
}
