//needs uffd_fd
//many take messages
//after messages
static long uffd_open(int process, int flags, unsigned long features)
{
	struct uffdio_api api = { .api = UFFD_API, .features = UFFD_FEATURE_PAGEFAULT_FLAG_WP | features };
	long fd;

	if (uffd[process])
		return BUSY;
	fd = CALL(process, SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | flags);
//with many
	if (fd == BUSY)
		return fd;
	if (fd >= 0) {			/* the process itself keeps none: nor do its children */
		uffd[process] = take(process, fd);
		CALL(process, SYS_close, fd);
	}
//else
	uffd[process] = fd;
//end
	if (fd < 0 || ioctl(uffd[process], UFFDIO_API, &api))
		skip("userfaultfd(2), or a feature of it, is not offered here");
	return 0;
}
