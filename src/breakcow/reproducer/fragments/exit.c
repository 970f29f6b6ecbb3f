//needs processes
//after uffd
static long exit_process(int process)
{
	const long call[7] = { SYS_exit_group };

	if (busy(process))
		return BUSY;
	drain_lru();
	must(send(wire[process][0], call, sizeof(call), 0), "send");
	must(waitpid(pid[process], NULL, 0), "waitpid");
	pid[process] = 0;
	return 0;
}
