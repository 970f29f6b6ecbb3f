//needs processes uffd_fd
static int last_event, event_step[PROCESSES][PAGES];	/* when a write-protect event came, for which page */

static void read_messages(int process)
{
	struct uffd_msg message;
	char *page;
	int i;

	while (uffd[process] && read(uffd[process], &message, sizeof(message)) == sizeof(message)) {
//with fork
		if (message.event == UFFD_EVENT_FORK)
			forked_uffd = message.arg.fork.ufd;
//end
		if (message.event != UFFD_EVENT_PAGEFAULT)
			continue;
		page = (char *)(message.arg.pagefault.address & -PAGE);
		for (i = 0; i < PAGES; i++)
			if (at[process][i] == page)
				event_step[process][i] = steps;
		last_event = steps;
//with many
		if (state[process] == MOVES)
			state[process] = SLEEPS;
//end
	}
}
