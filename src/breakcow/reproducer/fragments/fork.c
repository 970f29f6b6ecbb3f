//needs processes
//after uffd
/* All are children of this program, so that a child can outlive the process that made it. */
static long fork_process(int process, int child)
{
	long born = CALL(process, SYS_clone, CLONE_PARENT | SIGCHLD, 0, 0, 0, 0, child);

	if (born < 0)
		return born;
	pid[child] = born;
	memcpy(at[child], at[process], sizeof(at[child]));
//with uffd
	uffd[child] = forked_uffd;
	forked_uffd = 0;
//end
	return 0;
}
