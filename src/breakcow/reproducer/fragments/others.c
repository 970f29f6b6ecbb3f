//needs processes
static int of_the_test(int process, unsigned long start, unsigned long end)
{
	int page;

	for (page = 0; page < PAGES; page++)
		if ((unsigned long)at[process][page] >= start && (unsigned long)at[process][page] < end)
			return 1;
	return 0;
}

/* What else the process has mapped than the pages of the test: KSM must not count it. */
static void leave_out_others(int process)
{
	unsigned long start, end;
	char text[512];
	FILE *maps;

	snprintf(text, sizeof(text), "/proc/%d/maps", pid[process]);
	maps = fopen(text, "r");
	while (maps && fgets(text, sizeof(text), maps))
		if (sscanf(text, "%lx-%lx", &start, &end) == 2 && end < 1UL << 47 && !of_the_test(process, start, end))
			CALL(process, SYS_madvise, start, end - start, MADV_UNMERGEABLE);
	if (maps)
		fclose(maps);
}
