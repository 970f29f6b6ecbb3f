//needs madvise_pages pages
#define KPF_WRITEBACK (1UL << 8)	/* in /proc/kpageflags */

/* MADV_PAGEOUT, and the end of the writing that it begins: until then a page is not the same to the kernel. */
static long pageout_pages(int process, int first, int count)
{
	long done, i, base_pages = BYTES(first, count) / PAGE;
	unsigned long seen[base_pages];
	char path[32];
	int pagemap;

	snprintf(path, sizeof(path), "/proc/%d/pagemap", pid[process]);
	pagemap = must(open(path, O_RDONLY), path);
	must(pread(pagemap, seen, sizeof(seen), (unsigned long)at[process][first] / PAGE * sizeof(*seen)), path);
	close(pagemap);
	done = madvise_pages(process, first, count, MADV_PAGEOUT);
	for (i = 0; i < base_pages; i++)
		while (seen[i] & PRESENT && number_of("/proc/kpageflags", seen[i] & PFN) & KPF_WRITEBACK)
			usleep(1000);
	return done;
}
