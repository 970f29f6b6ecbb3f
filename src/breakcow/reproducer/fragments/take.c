//needs processes
/* A copy of a file descriptor of a process. */
static int take(int process, int fd)
{
	int pidfd = must(syscall(434, pid[process], 0), "pidfd_open");
	int ours = must(syscall(438, pidfd, fd, 0), "pidfd_getfd");

	close(pidfd);
	return ours;
}
