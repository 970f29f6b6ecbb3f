//needs pages
//after ksm_page
static void show_pages(void)
{
	unsigned long seen;
	int process, page;

	for (process = 0; process < PROCESSES; process++) {
		for (page = 0; pid[process] && page < PAGES; page++) {
			seen = entry(process, page);
			printf("        %c %s: ", 'A' + process, name[page]);
			if (!(seen & PRESENT))
				printf(seen & SWAP ? "swap entry or marker" : "nothing");
			else
				printf(present(process, page) ? "frame %lx" : "zero page %lx", frame(process, page));
//with ksm_page
			printf(ksm_page(process, page) == YES ? ", KSM" : "");
//end
			printf("%s%s\n", seen & UFFD_WP ? ", write-protected" : "", seen & SOFT_DIRTY ? ", soft-dirty" : "");
		}
	}
}

/* A claim about what the last step has brought about. */
static void expect(int answer, const char *claim)
{
	static const char *const says[] = { "BROKEN", "ok", "not shown by this kernel" };

	printf("    %s: %s\n", says[answer], claim);
	if (answer == NO) {
		show_pages();
		broken++;
	}
}
