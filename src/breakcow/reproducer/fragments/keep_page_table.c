//needs processes
/* A written page beside those of the test: PAGEMAP_SCAN tells a hole from a hole without a page table. */
static void keep_page_table(int process)
{
	char *last = (char *)0x1000200000 - PAGE;

	CALL(process, SYS_mmap, (long)last, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	CALL(process, COPY, (long)last, (long)desk[process], PAGE);
}
