//needs call
//after again
#include <sched.h>
#include <sys/prctl.h>

/* All runs on one CPU: nothing is left to chance. */
static void begin(void)
{
	cpu_set_t cpu;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (geteuid())
		skip("page frame numbers are only shown to root");
	CPU_ZERO(&cpu);
	CPU_SET(sched_getcpu(), &cpu);
	must(sched_setaffinity(0, sizeof(cpu), &cpu), "sched_setaffinity");
	prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
	signal(SIGALRM, hang);
	signal(SIGSEGV, on_fault);
	signal(SIGBUS, on_fault);
//with again
	make_desk();
//else
	desk = mmap(NULL, PROCESSES * sizeof(*desk), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
//end
//with alone
	pid[A] = getpid();
//end
}
