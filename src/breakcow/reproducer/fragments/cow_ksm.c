//needs counter
static long cow_ksm_before;

/* cow_ksm of /proc/vmstat, -1 if there is none. */
static long cow_ksm(void)
{
	FILE *vmstat = fopen("/proc/vmstat", "r");
	char text[80];
	long value = -1;

	while (vmstat && fgets(text, sizeof(text), vmstat) && sscanf(text, "cow_ksm %ld", &value) != 1)
		;
	if (vmstat)
		fclose(vmstat);
	return value;
}

static void watch_cow_ksm(void)
{
	cow_ksm_before = cow_ksm();
}

/* How many KSM pages were copied since then. */
static long new_cow_ksm(void)
{
	return cow_ksm() < 0 ? -1 : cow_ksm() - cow_ksm_before;
}
