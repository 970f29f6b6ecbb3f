//needs call begin
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

static int wire[PROCESSES][2];	/* to each process: our end, its end */
static int self;

/* A process of the test makes the system calls that it is sent, and answers with their results. */
static void live(void)
{
	static long call[7], result;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (recv(wire[self][1], call, sizeof(call), 0) == sizeof(call)) {
//with again
		if (call[0] == SYS_execve)
			result = start_again(self);
		else
			result = perform(call);
//else
		result = perform(call);
//end
//with fork
		if (call[0] == SYS_clone && !result) {
			self = call[6];
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			continue;
		}
//end
		send(wire[self][1], &result, sizeof(result), 0);
	}
	_exit(0);
}

//with uffd
static enum { RESTS, MOVES, SLEEPS } state[PROCESSES];
static long result[PROCESSES];
static void read_messages(int process);

/* Until every process has answered, or sleeps in handle_userfault(). */
static void settle(void)
{
	int process, moving;

	do {
		usleep(50);
		for (moving = process = 0; process < PROCESSES; process++) {
			if (state[process] == MOVES &&
			    recv(wire[process][0], &result[process], sizeof(long), MSG_DONTWAIT) > 0)
				state[process] = RESTS;
			read_messages(process);
			moving += state[process] == MOVES;
		}
	} while (moving);
}

//end
static int busy(int process)
{
//with uffd
	return !pid[process] || state[process] != RESTS;
//else
	return !pid[process];
//end
}

/* Let a process make a system call. */
static long ask(int process, const long call[7])
{
//with uffd
	if (busy(process))
		return BUSY;
	drain_lru();
	state[process] = MOVES;
	must(send(wire[process][0], call, 7 * sizeof(long), 0), "send");
	settle();
	return state[process] == SLEEPS ? BLOCKS : result[process];
//else
	long result;

	if (busy(process))
		return BUSY;
	drain_lru();
	must(send(wire[process][0], call, 7 * sizeof(long), 0), "send");
	must(recv(wire[process][0], &result, sizeof(result), 0), "recv");
	return result;
//end
}
#define CALL(process, ...) ask(process, (const long[7]){ __VA_ARGS__ })

static void finish(void)
{
	int process;

	for (process = 0; process < PROCESSES; process++) {
		if (pid[process]) {
			kill(pid[process], SIGKILL);
			waitpid(pid[process], NULL, 0);
		}
	}
}

/* Process A, with no page yet. */
static void birth(void)
{
	int process;

	for (process = 0; process < PROCESSES; process++)
		must(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, wire[process]), "socketpair");
//with again
	must(pwrite(desk_file, wire, sizeof(wire), PROCESSES * sizeof(*desk)), "pwrite");
//end
	pid[A] = must(fork(), "fork");
	if (!pid[A])
		live();
	atexit(finish);
}
