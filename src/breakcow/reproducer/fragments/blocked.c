//needs uffd
static int blocked(int process)
{
	return state[process] == SLEEPS;
}
