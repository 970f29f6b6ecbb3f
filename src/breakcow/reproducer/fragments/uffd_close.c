//needs uffd
//many look_if_woken
static long uffd_close(int process)
{
	if (!uffd[process])
		return BUSY;
	close(uffd[process]);
	uffd[process] = 0;
//with many
	look_if_woken(process);
//end
	return 0;
}
