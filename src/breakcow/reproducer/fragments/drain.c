//needs splice
static long drain_pipe(int process, int page)
{
	if (!splice_pipe[process][page])
		return BUSY;
	close(splice_pipe[process][page]);
	splice_pipe[process][page] = 0;
	return 0;
}
