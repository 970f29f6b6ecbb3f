//needs take uffd_abi

static int uffd[PROCESSES];			/* the only descriptor of its userfaultfd, 0 for none */
static int forked_uffd;				/* what the last EVENT_FORK brought */
static int last_event, event_step[PROCESSES][PAGES];	/* when a write-protect event came, for which page */

static void read_messages(int process)
{
	struct uffd_msg message;
	char *page;
	int i;

	while (uffd[process] && read(uffd[process], &message, sizeof(message)) == sizeof(message)) {
		if (message.event == UFFD_EVENT_FORK)
			forked_uffd = message.arg.fork.ufd;
		if (message.event != UFFD_EVENT_PAGEFAULT)
			continue;
		page = (char *)(message.arg.pagefault.address & -PAGE);
		for (i = 0; i < PAGES; i++)
			if (at[process][i] == page)
				event_step[process][i] = steps;
		last_event = steps;
		if (state[process] == MOVES)
			state[process] = SLEEPS;
	}
}

static long uffd_open(int process, int flags, unsigned long features)
{
	struct uffdio_api api = { .api = UFFD_API, .features = UFFD_FEATURE_PAGEFAULT_FLAG_WP | features };
	long fd;

	if (uffd[process])
		return BUSY;
	fd = CALL(process, SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | flags);
	if (fd == BUSY)
		return fd;
	if (fd >= 0) {			/* the process itself keeps none: nor do its children */
		uffd[process] = take(process, fd);
		CALL(process, SYS_close, fd);
	}
	if (fd < 0 || ioctl(uffd[process], UFFDIO_API, &api))
		skip("userfaultfd(2), or a feature of it, is not offered here");
	return 0;
}
