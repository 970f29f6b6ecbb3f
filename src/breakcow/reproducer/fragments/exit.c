//needs processes
//after uffd
static long exit_process(int process)
{
	const long call[7] = { SYS_exit_group };

//with uffd
	if (!pid[process] || state[process] != RESTS)
		return BUSY;
//else
	if (!pid[process])
		return BUSY;
//end
	drain_lru();
	must(send(wire[process][0], call, sizeof(call), 0), "send");
	must(waitpid(pid[process], NULL, 0), "waitpid");
	pid[process] = 0;
	return 0;
}
