//needs uffd state_of
#include <poll.h>

/* After what may have woken a process: does it still sleep in handle_userfault(), or has it gone on? */
static void look_if_woken(int process)
{
	struct pollfd news[] = { { wire[process][0], POLLIN, 0 }, { uffd[process] ? uffd[process] : -1, POLLIN, 0 } };

	if (state[process] == SLEEPS && (!strchr("SD", state_of(pid[process])) || poll(news, 2, 0)))
		state[process] = MOVES;
	settle();
}
