//needs others
#ifndef PR_SET_MEMORY_MERGE
#define PR_SET_MEMORY_MERGE 67
#endif

/* prctl(PR_SET_MEMORY_MERGE), for the pages of the test alone. */
static long merge_any(int process, int on)
{
	long done = CALL(process, SYS_prctl, PR_SET_MEMORY_MERGE, on, 0, 0, 0);

	if (done == -EINVAL)
		skip("PR_SET_MEMORY_MERGE needs Linux 6.4");
	if (done < 0 || !on)
		return done;
	leave_out_others(process);
	return done;
}
