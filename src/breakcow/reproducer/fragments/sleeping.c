//needs state_of
static int sleeping(pid_t process)
{
	char state = state_of(process);

	return state == 'S' || state == 'D';
}
