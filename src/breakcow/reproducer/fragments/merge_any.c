//needs processes
#ifndef PR_SET_MEMORY_MERGE
#define PR_SET_MEMORY_MERGE 67
#endif

static int of_the_test(int process, unsigned long start, unsigned long end)
{
	int page;

	for (page = 0; page < PAGES; page++)
		if ((unsigned long)at[process][page] >= start && (unsigned long)at[process][page] < end)
			return 1;
	return 0;
}

/* prctl(PR_SET_MEMORY_MERGE). What else the process has mapped is left out again: KSM must not count it. */
static long merge_any(int process, int on)
{
	long done = CALL(process, SYS_prctl, PR_SET_MEMORY_MERGE, on, 0, 0, 0);
	unsigned long start, end;
	char text[512];
	FILE *maps;

	if (done == -EINVAL)
		skip("PR_SET_MEMORY_MERGE needs Linux 6.4");
	if (done < 0 || !on)
		return done;
	snprintf(text, sizeof(text), "/proc/%d/maps", pid[process]);
	maps = fopen(text, "r");
	while (maps && fgets(text, sizeof(text), maps))
		if (sscanf(text, "%lx-%lx", &start, &end) == 2 && end < 1UL << 47 && !of_the_test(process, start, end))
			CALL(process, SYS_madvise, start, end - start, MADV_UNMERGEABLE);
	if (maps)
		fclose(maps);
	return done;
}
