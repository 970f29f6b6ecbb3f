//needs processes
/* A written page beside those of the test: PAGEMAP_SCAN tells a hole from a hole without a page table. */
static void keep_page_table(void)
{
	char *last = (char *)0x1000200000 - PAGE;

	CALL(A, SYS_mmap, (long)last, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	CALL(A, COPY, (long)last, (long)desk[A], PAGE);
}
