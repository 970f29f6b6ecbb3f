//needs pages
#define KPF_THP (1UL << 22)	/* in /proc/kpageflags */

/* A huge page is mapped as one: smaps counts those of each mapping, but no zero page, which knows it itself. */
static int huge(int process, int page)
{
	unsigned long number = frame(process, page), start, end, flags;
	char line[512], path[32];
	int inside = 0, found = 0;
	FILE *smaps;
	long size;

	flags = number ? number_of("/proc/kpageflags", number) : 0;
	if (!number || flags & KPF_ZERO_PAGE)
		return number && flags & KPF_THP;
	snprintf(path, sizeof(path), "/proc/%d/smaps", pid[process]);
	smaps = fopen(path, "r");
	while (smaps && fgets(line, sizeof(line), smaps)) {
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			inside = start <= (unsigned long)at[process][page] && (unsigned long)at[process][page] < end;
		else if (inside && sscanf(line, "AnonHugePages: %ld", &size) == 1)
			found = size > 0;
	}
	if (smaps)
		fclose(smaps);
	return found;
}
