/*
 * The second holder of a userfaultfd (guard.py): a process that takes the protection off piece by piece, when it is asked to, or when the
 * process that copies is gone. The kernel would do that at once and under mmap_lock, and wake nobody before it has come to the last page.
 *
 * It shares the memory of the process that copies, and so costs none, and has descriptors of its own. As it shares the thread's errno as
 * well, it makes its system calls itself.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <linux/userfaultfd.h>

enum { PAGE = 4096, MESSAGES = 16, STACK = 1 << 14 };

#define HUGE (UINT64_C(1) << 21)

struct guard {
    int32_t uffd, asked, kept; /* asked: ends when it is time, or has a byte if there is nothing to do */
    uint64_t ranges;           /* kept: nothing is done with it, but it is closed last */
    const uint64_t *from, *to;

    _Alignas(16) uint8_t stack[STACK];
};

static long call(long number, long a, long b, long c)
{
    long result;

    __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
    return result;
}

/* Let who waits for a page write to it, and to what is around it: as much as a huge page has, which so stays one. */
static void answer(struct guard *g, uint64_t address)
{
    struct uffdio_writeprotect page = { { address / PAGE * PAGE, PAGE }, 0 };

    for (uint64_t n = 0; n < g->ranges; n++)
        if (g->from[n] <= address && address < g->to[n]) {
            uint64_t start = address / HUGE * HUGE, end = start + HUGE;
            struct uffdio_writeprotect around;

            start = start < g->from[n] ? g->from[n] : start;
            end = end > g->to[n] ? g->to[n] : end;
            around = (struct uffdio_writeprotect){ { start, end - start }, 0 };
            if (call(SYS_ioctl, g->uffd, UFFDIO_WRITEPROTECT, (long)&around) == 0)
                return;
        }
    call(SYS_ioctl, g->uffd, UFFDIO_WRITEPROTECT, (long)&page);
}

static void answer_all(struct guard *g)
{
    struct uffd_msg messages[MESSAGES];
    long size;

    while ((size = call(SYS_read, g->uffd, (long)messages, sizeof(messages))) > 0)
        for (long n = 0; n < size / (long)sizeof(*messages); n++)
            if (messages[n].event == UFFD_EVENT_PAGEFAULT)
                answer(g, messages[n].arg.pagefault.address);
}

/* Close every descriptor but three, given in any order. */
static void close_others(int32_t a, int32_t b, int32_t c)
{
    int32_t low = a < b ? a : b, high = a < b ? b : a;
    int32_t first = c < low ? c : low, last = c > high ? c : high, middle = c < low ? low : c > high ? high : c;

    if (first > 0)
        call(SYS_close_range, 0, first - 1, 0);
    if (first + 1 < middle)
        call(SYS_close_range, first + 1, middle - 1, 0);
    if (middle + 1 < last)
        call(SYS_close_range, middle + 1, last - 1, 0);
    call(SYS_close_range, last + 1, ~0U, 0);
}

/* Whoever waits is woken, and comes again: a message that was read by a process that is gone would not be answered otherwise. */
static int let_go(void *arg)
{
    struct guard *g = arg;
    uint8_t byte;

    close_others(g->uffd, g->asked, g->kept);
    if (call(SYS_read, g->asked, (long)&byte, 1) == 1)
        return 0;
    for (uint64_t n = 0; n < g->ranges; n++) {
        struct uffdio_range range = { g->from[n], g->to[n] - g->from[n] };

        call(SYS_ioctl, g->uffd, UFFDIO_WAKE, (long)&range);
    }
    for (uint64_t n = 0; n < g->ranges; n++)
        for (uint64_t start = g->from[n], end; start < g->to[n]; start = end) {
            struct uffdio_range range;

            end = start / HUGE * HUGE + HUGE;
            end = end > g->to[n] ? g->to[n] : end;
            range = (struct uffdio_range){ start, end - start };
            answer_all(g);
            call(SYS_ioctl, g->uffd, UFFDIO_UNREGISTER, (long)&range);
        }
    return 0;
}

struct guard *guard_make(void)
{
    return calloc(1, sizeof(struct guard));
}

/* The pid of the new process, or -1. No signal reaches a handler of this program in it. */
int guard_start(struct guard *g)
{
    sigset_t all, before;
    int pid;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pid = clone(let_go, g->stack + STACK, CLONE_VM | SIGCHLD, g);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return pid;
}

/* After its process has ended. */
void guard_drop(struct guard *g)
{
    free(g);
}
