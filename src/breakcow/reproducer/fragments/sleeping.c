//needs state_of
static int sleeping(pid_t process)
{
	return strchr("SD", state_of(process)) != NULL;
}
