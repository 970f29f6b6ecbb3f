//needs splice value_of
/* What the pipe holds, and goes on holding. */
static int spliced(int process, int page, int value)
{
	char bytes[PAGE];
	int copy[2];

	if (!splice_pipe[process][page])
		return NO;
	must(pipe(copy), "pipe");
	must(tee(splice_pipe[process][page], copy[1], PAGE, 0), "tee");
	must(read(copy[0], bytes, PAGE), "pipe");
	close(copy[0]);
	close(copy[1]);
	return value_of(bytes) == value;
}
