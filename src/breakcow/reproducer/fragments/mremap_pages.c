//needs processes
/* To an address where nothing was before. */
static long mremap_pages(int process, int first, int count)
{
	long area = fresh_area(), length = BYTES(first, count), from = (long)at[process][first];
	long done = CALL(process, SYS_mremap, from, length, length, MREMAP_MAYMOVE | MREMAP_FIXED, area);
	int page;

	if (done < 0)
		return done;
	for (page = first; page < first + count; page++)
		at[process][page] += area - from;
	return 0;
}
