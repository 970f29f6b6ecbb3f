//needs scratch pages
/* A kernel without CONFIG_MEM_SOFT_DIRTY sets the bit for all pages, or for none. */
static int shows_soft_dirty(void)
{
	int refs = must(open("/proc/self/clear_refs", O_WRONLY), "clear_refs");
	char *page = scratch();
	unsigned long before;

	(void)!write(refs, "4", 1);
	close(refs);
	before = number_of("/proc/self/pagemap", (unsigned long)page / PAGE);
	*page = 2;
	return number_of("/proc/self/pagemap", (unsigned long)page / PAGE) & ~before & SOFT_DIRTY ? YES : NO;
}
