#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { KEPT, BROKEN, FAILED, SKIPPED = 4 };	/* exit status */
enum { NO, YES, UNSEEN };	/* an answer; UNSEEN: this kernel does not show it */

/* How a step ends: with 0 or more, with -errno, or with one of these. */
#define GETS(signal) (-5000 - (signal))
#define BLOCKS (-10000)		/* its process waits in handle_userfault() */
#define BUSY (-10001)		/* its process waits in an earlier step, or is gone */

static int steps, broken;

/* Begin a line of the test. */
static void step(const char *text)
{
	printf("%2d  %s\n", ++steps, text);
	alarm(10);
}

static void hang(int signal)
{
//with may_wait
	static const char text[] = "    BROKEN: it waits in handle_userfault()\n";
	int status = signal == SIGALRM ? BROKEN : FAILED;
//else
	static const char text[] = "    it hangs\n";
	int status = signal == SIGALRM && broken ? BROKEN : FAILED;
//end

	(void)!write(STDOUT_FILENO, text, sizeof(text) - 1);
	_exit(status);
}

static void skip(const char *why)
{
	printf("SKIP: %s\n", why);
	exit(SKIPPED);
}

/* What the test cannot go on without. */
static long must(long result, const char *what)
{
	if (result < 0) {
		perror(what);
		exit(broken ? BROKEN : FAILED);
	}
	return result;
}

static const char *words(long outcome)
{
	if (outcome >= 0)
		return "success";
	if (outcome <= BLOCKS)
		return outcome == BLOCKS ? "blocks" : "its process waits or is gone";
	return outcome < -4095 ? strsignal(GETS(0) - outcome) : strerror(-outcome);
}

/* How the step must end, and how it ended. */
static void returns(long wanted, long got)
{
	if (got == wanted)
		return;
	printf("    BROKEN: expected %s (%ld), ", words(wanted), wanted);
	printf("got %s (%ld)\n", words(got), got);
	if (got == BUSY && !broken)
		exit(FAILED);
	broken++;
}

static int verdict(const char *test)
{
	printf("%s: %s\n", broken ? "BROKEN" : "kept", test);
	return broken ? BROKEN : KEPT;
}
