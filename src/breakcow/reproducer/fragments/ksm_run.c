//needs ksm
static long ksm_run(const char *value)
{
	long done;

	if (!strcmp(value, "1") && ksm_read("run") != 1) {
		scan_by("run", value);
		return 0;
	}
	done = ksm_write("run", value);
	if (ksm_read("run") != 1) {		/* let a ksmd that sleeps between two scans see it: only then does 1 wake it */
		ksm_write("sleep_millisecs", fresh_sleep());
		while (state_of(ksmd) != 'S')
			usleep(50);
	}
	return done;
}
