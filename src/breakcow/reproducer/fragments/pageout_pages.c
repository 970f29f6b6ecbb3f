//needs madvise_pages pages
#define KPF_WRITEBACK (1UL << 8)	/* in /proc/kpageflags */

/* MADV_PAGEOUT, and the end of the writing that it begins: until then a page is not the same to the kernel. */
static long pageout_pages(int process, int first, int count)
{
	unsigned long number[PAGES];
	long done;
	int page;

	for (page = first; page < first + count; page++)
		number[page] = frame(process, page);
	done = madvise_pages(process, first, count, MADV_PAGEOUT);
	for (page = first; page < first + count; page++)
		while (number[page] && number_of("/proc/kpageflags", number[page]) & KPF_WRITEBACK)
			usleep(1000);
	return done;
}
