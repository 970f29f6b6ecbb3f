//needs report
#include <sched.h>
#include <setjmp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define PAGE 4096L
#define COPY (-1)		/* no system call: memcpy() */

static pid_t pid[PROCESSES];	/* 0: gone, or not born yet */
static int wire[PROCESSES][2];	/* to each process: our end, its end */
static char *at[PROCESSES][PAGES];	/* where each process has each page */
static char (*desk)[2 * PAGE];	/* shared with each process: a page of data, and arguments */
static int self, desk_file;
static sigjmp_buf fault;
//with ksm
static pid_t restorer;		/* puts the settings of KSM back ... */
static int alive;		/* ... once this is closed, by whatever end */
//end

static void on_fault(int signal)
{
	siglongjmp(fault, signal);
}

/* A process of the test makes the system calls that it is sent, and answers with their results. */
static void live(void)
{
	static long call[7], result;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (recv(wire[self][1], call, sizeof(call), 0) == sizeof(call)) {
		result = sigsetjmp(fault, 1);
		if (result)
			result = GETS(result);
		else if (call[0] == COPY)
			memcpy((void *)call[1], (void *)call[2], call[3]);
		else
			result = syscall(call[0], call[1], call[2], call[3], call[4], call[5], call[6]);
		if (result == -1)
			result = -errno;
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

/* The LRU batches of this CPU hold references to pages, which keep them from reuse and merging. */
static void drain_lru(void)
{
	static char *hole;

	if (!hole)
		hole = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	madvise(hole, PAGE, MADV_COLD);
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
/* Let a process make a system call. */
static long ask(int process, const long call[7])
{
//with uffd
	if (!pid[process] || state[process] != RESTS)
		return BUSY;
	drain_lru();
	state[process] = MOVES;
	must(send(wire[process][0], call, 7 * sizeof(long), 0), "send");
	settle();
	return state[process] == SLEEPS ? BLOCKS : result[process];
//else
	long result;

	if (!pid[process])
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
//with ksm
	close(alive);
	waitpid(restorer, NULL, 0);
//end
}

/* Process A, with no page yet. All runs on one CPU: nothing is left to chance. */
static void birth(void)
{
	cpu_set_t cpu;
	int process;

	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGALRM, hang);
	if (geteuid())
		skip("page frame numbers are only shown to root");
	CPU_ZERO(&cpu);
	CPU_SET(sched_getcpu(), &cpu);
	must(sched_setaffinity(0, sizeof(cpu), &cpu), "sched_setaffinity");
	for (process = 0; process < PROCESSES; process++)
		must(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, wire[process]), "socketpair");
	desk_file = must(memfd_create("desk", 0), "memfd_create");
	must(ftruncate(desk_file, PROCESSES * sizeof(*desk)), "ftruncate");
	desk = mmap(NULL, PROCESSES * sizeof(*desk), PROT_READ | PROT_WRITE, MAP_SHARED, desk_file, 0);
	prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
	pid[A] = must(fork(), "fork");
	atexit(finish);
	if (pid[A])
		return;
	signal(SIGSEGV, on_fault);
	signal(SIGBUS, on_fault);
	live();
}

static long fresh_area(void)
{
	static long areas;

	return 0x1000000000 + areas++ * 0x10000;
}

/* Private anonymous memory of A, side by side, other mappings at a distance. */
static long map_pages(int first, int count)
{
	long area = fresh_area();
	int page;

	for (page = first; page < first + count; page++)
		at[A][page] = (char *)area + (page - first) * PAGE;
	return CALL(A, SYS_mmap, area, count * PAGE, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == area ? 0 : -ENOMEM;
}
