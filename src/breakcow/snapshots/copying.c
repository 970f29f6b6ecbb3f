/*
 * The copying of a cut (copying.py) without an interpreter: one thread sleeps in serve() and answers the stores that wait, another takes
 * what was copied with next(), which copies the next piece itself when there is nothing. compiled.py has it compiled, and says the same
 * structures again.
 *
 * A piece is pending, then busy while somebody copies it, then copied. It is copied, seen to be protected still, and only then released.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <immintrin.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <linux/userfaultfd.h>

enum { PENDING = 0, COPIED = 1, BUSY = 2, WANTED = 4 };
enum { PAGE = 4096, BLOCK = 1 << 16, MESSAGES = 64, QUEUE = 1024, UNPROTECTED = -1 };

#define HUGE (UINT64_C(1) << 21)
#define PAGE_IS_WRITTEN (1 << 1)
#define PAGE_IS_PRESENT (1 << 3)
#define PAGE_IS_SWAPPED (1 << 4)
#define PAGE_IS_HUGE (1 << 6)
#define SCAN _IOWR('f', 16, struct scan)

struct scan { /* struct pm_scan_arg of linux/fs.h, which older headers lack */
    uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages, inverted, mask, anyof, shown;
};

struct region { /* struct page_region of the same */
    uint64_t start, end, categories;
};

struct taken { /* what was copied and is not saved yet */
    uint64_t start, end, at; /* addresses there; its place in the room, which is a ring: at % size */
    int32_t ready, error;    /* error: an errno, or UNPROTECTED */
};

struct copying {
    int32_t uffd, mem, pagemap, stop, filled; /* the last two are eventfds: from and to the thread that saves */
    int32_t keep;                             /* what is copied stays protected, to tell the next cut that it has not changed */
    uint64_t pieces, ranges;
    const uint64_t *starts, *ends, *from, *to; /* of the pieces, and of the ranges that they lie in */
    uint8_t *state;                            /* of each piece */
    uint8_t *room;
    uint64_t size;                      /* of the room */
    uint64_t stalls, early_pages, done; /* faults; pages copied because of one; pages copied */
    struct taken lost;                  /* the piece that was lost, if there is one */

    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct taken queue[QUEUE]; /* in the order of their places in the room */
    uint64_t first, last, head, tail, busy;
    uint64_t expected, run; /* where the next store probably is, and how far ahead to release for it */
    int ended;
};

struct copying *make(void)
{
    struct copying *c = calloc(1, sizeof(*c));

    if (c) {
        pthread_mutex_init(&c->lock, NULL);
        pthread_cond_init(&c->changed, NULL);
    }
    return c;
}

void drop(struct copying *c)
{
    free(c);
}

/* The last of n sorted starts that is not above the address; n if there is none. */
static uint64_t before(const uint64_t *starts, uint64_t n, uint64_t address)
{
    uint64_t low = 0, high = n;

    while (low < high) {
        uint64_t middle = (low + high) / 2;

        if (starts[middle] <= address)
            low = middle + 1;
        else
            high = middle;
    }
    return low ? low - 1 : n;
}

static int scan(struct copying *c, uint64_t start, uint64_t end, struct region *found, int room, uint64_t inverted, uint64_t mask,
                uint64_t anyof)
{
    struct scan wanted = { sizeof(wanted), 0, start, end, 0, (uintptr_t)found, room, 0, inverted, mask, anyof, mask };

    return ioctl(c->pagemap, SCAN, &wanted);
}

/* Every page is there and write-protected. */
static int whole(struct copying *c, uint64_t start, uint64_t end)
{
    struct region found[2];

    return scan(c, start, end, found, 2, PAGE_IS_WRITTEN, PAGE_IS_WRITTEN, PAGE_IS_PRESENT | PAGE_IS_SWAPPED) == 1 &&
           found[0].start == start && found[0].end == end;
}

static int released(struct copying *c, uint64_t start, uint64_t end)
{
    struct uffdio_writeprotect range = { { start, end - start }, 0 };

    return ioctl(c->uffd, UFFDIO_WRITEPROTECT, &range) == 0;
}

/* Let the writers of a range go on. A part that was unmapped since has nobody to wake, and the kernel stops there. */
static void release(struct copying *c, uint64_t start, uint64_t end)
{
    if (!released(c, start, end))
        for (; start < end; start += PAGE)
            released(c, start, start + PAGE);
}

/* Write-protect ranges in order: how many, until one could not be. */
uint64_t protect(int uffd, const uint64_t *starts, const uint64_t *ends, uint64_t ranges)
{
    for (uint64_t n = 0; n < ranges; n++) {
        struct uffdio_writeprotect range = { { starts[n], ends[n] - starts[n] }, UFFDIO_WRITEPROTECT_MODE_WP };

        if (ioctl(uffd, UFFDIO_WRITEPROTECT, &range))
            return n;
    }
    return ranges;
}

/* A place in the queue and in the room, or NULL. The caller holds the lock. */
static struct taken *place(struct copying *c, uint64_t start, uint64_t end)
{
    uint64_t length = end - start, skip = 0;
    struct taken *taken;

    if (c->first == c->last)
        c->head = c->tail = 0;
    if (c->head % c->size + length > c->size)
        skip = c->size - c->head % c->size;
    if (c->head + skip + length - c->tail > c->size || c->last - c->first == QUEUE)
        return NULL;
    c->head += skip;
    taken = &c->queue[c->last++ % QUEUE];
    *taken = (struct taken){ start, end, c->head, 0, 0 };
    c->head += length;
    return taken;
}

/* Copy a busy piece to its place, prove that nobody wrote it before that, and let it go. */
static void copy(struct copying *c, uint64_t piece, struct taken *taken)
{
    uint8_t *room = c->room + taken->at % c->size;
    uint64_t at = taken->start;
    int wanted;

    while (at < taken->end && !taken->error) {
        ssize_t size = pread(c->mem, room + (at - taken->start), taken->end - at, at);

        if (size > 0)
            at += size;
        else if (size == 0 || errno != EINTR)
            taken->error = size ? errno : EFAULT;
    }
    if (!taken->error && !whole(c, taken->start, taken->end))
        taken->error = UNPROTECTED;
    pthread_mutex_lock(&c->lock);
    wanted = c->state[piece] & WANTED;
    c->state[piece] = COPIED;
    c->busy--;
    c->done += (taken->end - taken->start) / PAGE;
    if (taken->error)
        c->lost = *taken;
    else if (wanted || !c->keep)
        release(c, taken->start, taken->end);
    taken->ready = 1;
    pthread_cond_broadcast(&c->changed);
    pthread_mutex_unlock(&c->lock);
}

/* `end`, or where before it something begins that is not copied yet. */
static uint64_t before_pending(struct copying *c, uint64_t start, uint64_t end)
{
    uint64_t piece = before(c->starts, c->pieces, start);

    for (piece = piece == c->pieces ? 0 : piece + 1; piece < c->pieces && c->starts[piece] < end; piece++)
        if (c->state[piece] != COPIED)
            return c->starts[piece];
    return end;
}

static int is_huge(struct copying *c, uint64_t start)
{
    struct region found[2];

    return scan(c, start, start + HUGE, found, 2, 0, PAGE_IS_HUGE, 0) == 1 && found[0].start == start && found[0].end == start + HUGE;
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* A store to a page that need not be copied. If stores follow one another, the next pages are released with it. */
static void pass(struct copying *c, uint64_t page)
{
    uint64_t range = before(c->from, c->ranges, page), huge = page / HUGE * HUGE, end = page + PAGE;

    if (c->keep && range < c->ranges && page < c->to[range]) {
        if (huge >= c->from[range] && huge + HUGE <= c->to[range] && is_huge(c, huge)) {
            release(c, huge, huge + HUGE);
            return;
        }
        c->run = page == c->expected ? least(2 * c->run, BLOCK) : PAGE;
        end = least(least(page + c->run, (page / BLOCK + 1) * BLOCK), c->to[range]);
        end = c->expected = before_pending(c, page, end);
    }
    release(c, page, end);
}

static void fault(struct copying *c, uint64_t address)
{
    uint64_t piece = before(c->starts, c->pieces, address);
    struct taken *taken;

    pthread_mutex_lock(&c->lock);
    c->stalls++;
    if (piece == c->pieces || address >= c->ends[piece] || c->state[piece] == COPIED) {
        pass(c, address / PAGE * PAGE);
    } else if (c->state[piece] & BUSY) {
        c->state[piece] |= WANTED;
    } else {
        c->state[piece] = BUSY;
        c->busy++;
        while (!(taken = place(c, c->starts[piece], c->ends[piece])) && !c->ended)
            pthread_cond_wait(&c->changed, &c->lock);
        if (taken) {
            c->state[piece] |= WANTED;
            c->early_pages += (taken->end - taken->start) / PAGE;
            pthread_mutex_unlock(&c->lock);
            copy(c, piece, taken);
            eventfd_write(c->filled, 1);
            return;
        }
    }
    pthread_mutex_unlock(&c->lock);
}

/* Answer the stores that wait, until `stop` is written. */
void serve(struct copying *c)
{
    struct uffd_msg messages[MESSAGES];
    struct pollfd wanted[2] = { { c->uffd, POLLIN, 0 }, { c->stop, POLLIN, 0 } };

    while (poll(wanted, 2, -1) >= 0 || errno == EINTR) {
        ssize_t size = 0;

        if (wanted[1].revents)
            return;
        if (wanted[0].revents)
            size = read(c->uffd, messages, sizeof(messages));
        for (ssize_t n = 0; n < size / (ssize_t)sizeof(*messages); n++)
            if (messages[n].event == UFFD_EVENT_PAGEFAULT)
                fault(c, messages[n].arg.pagefault.address);
    }
}

/* Have `serve` return soon, even if it waits for room. */
void stop(struct copying *c)
{
    pthread_mutex_lock(&c->lock);
    c->ended = 1;
    pthread_cond_broadcast(&c->changed);
    pthread_mutex_unlock(&c->lock);
    eventfd_write(c->stop, 1);
}

/*
 * What is to be saved next: what was copied for a store that waited, else the next piece from `piece` on, copied now. 1: `found` has it, and
 * saved() is to be called when it is saved. 0: there is none. -1: a piece is lost. With a piece past the end it does not wait.
 */
int next(struct copying *c, uint64_t piece, struct taken *found)
{
    int result = -2;

    pthread_mutex_lock(&c->lock);
    while (result == -2) {
        struct taken *head = &c->queue[c->first % QUEUE];

        while (piece < c->pieces && c->state[piece] != PENDING)
            piece++;
        if (c->lost.error) {
            result = -1;
        } else if (c->first != c->last && head->ready) {
            *found = *head;
            result = 1;
        } else if (c->first == c->last && piece < c->pieces) {
            struct taken *taken = place(c, c->starts[piece], c->ends[piece]);

            c->state[piece] = BUSY;
            c->busy++;
            pthread_mutex_unlock(&c->lock);
            copy(c, piece, taken);
            pthread_mutex_lock(&c->lock);
        } else if (c->busy && piece <= c->pieces) {
            pthread_cond_wait(&c->changed, &c->lock);
        } else {
            result = 0;
        }
    }
    pthread_mutex_unlock(&c->lock);
    return result;
}

/* What next() gave is saved: its room is free. */
void saved(struct copying *c)
{
    pthread_mutex_lock(&c->lock);
    c->first++;
    c->tail = c->first == c->last ? c->head : c->queue[c->first % QUEUE].at;
    pthread_cond_broadcast(&c->changed);
    pthread_mutex_unlock(&c->lock);
}

/* This processor multiplies polynomials (PCLMULQDQ). */
int multiplies(void)
{
    return __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("sse4.1");
}

/* One fold of CRC-32: 128 bits moved ahead by as many bits as the two constants stand for, and added to what is there. */
__attribute__((target("pclmul,sse4.1"))) static __m128i fold(__m128i bits, __m128i constants, __m128i there)
{
    __m128i low = _mm_clmulepi64_si128(bits, constants, 0x00), high = _mm_clmulepi64_si128(bits, constants, 0x11);

    return _mm_xor_si128(_mm_xor_si128(low, high), there);
}

/*
 * CRC-32 as zlib has it, of a multiple of 64 bytes. Folds four times 128 bits at once, then those into one, and divides that bit by bit.
 * A constant is x^n modulo the polynomial, bits reversed: n is 512 + 32 and 512 - 32, then 128 + 32 and 128 - 32.
 */
__attribute__((target("pclmul,sse4.1"))) uint32_t checksum(const uint8_t *data, uint64_t size)
{
    const __m128i far = _mm_set_epi64x(0x1c6e41596, 0x154442bd4), near = _mm_set_epi64x(0x0ccaa009e, 0x1751997d0);
    const __m128i *next = (const __m128i *)data, *end = (const __m128i *)(data + size);
    __m128i lane[4];
    uint8_t rest[16];
    uint32_t crc = 0;

    for (int n = 0; n < 4; n++)
        lane[n] = _mm_loadu_si128(next++);
    lane[0] = _mm_xor_si128(lane[0], _mm_cvtsi32_si128(-1));
    while (next < end)
        for (int n = 0; n < 4; n++)
            lane[n] = fold(lane[n], far, _mm_loadu_si128(next++));
    for (int n = 1; n < 4; n++)
        lane[0] = fold(lane[0], near, lane[n]);
    _mm_storeu_si128((__m128i *)rest, lane[0]);
    for (int n = 0; n < 16; n++) {
        crc ^= rest[n];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (0xedb88320 & -(crc & 1));
    }
    return ~crc;
}
