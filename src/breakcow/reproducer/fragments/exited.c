//needs processes
static int exited(int process)
{
	return !pid[process];
}
