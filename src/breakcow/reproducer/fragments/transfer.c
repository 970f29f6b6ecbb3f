//needs processes
#include <linux/io_uring.h>

static struct io_uring_params ring_params;	/* the same for every ring */
static char *ring_address[PROCESSES][PAGES];	/* of the page when it was registered */

/* The device stores what a pipe holds into the page (READ_FIXED), or reads the page into a pipe (WRITE_FIXED). */
static long transfer(int ring, int operation, int fd, char *page)
{
	struct io_sqring_offsets *sq = &ring_params.sq_off;
	struct io_cqring_offsets *cq = &ring_params.cq_off;
	long submissions = sq->array + ring_params.sq_entries * sizeof(int);
	long completions = cq->cqes + ring_params.cq_entries * sizeof(struct io_uring_cqe);
	char *s = mmap(NULL, submissions, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQ_RING);
	char *c = mmap(NULL, completions, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_CQ_RING);
	struct io_uring_sqe *sqe = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQES);
	int head = *(int *)(c + cq->head), done;

	*sqe = (struct io_uring_sqe){ .opcode = operation, .fd = fd, .addr = (unsigned long)page, .len = PAGE };
	*(int *)(s + sq->array) = 0;
	__atomic_add_fetch((int *)(s + sq->tail), 1, __ATOMIC_RELEASE);
	must(syscall(SYS_io_uring_enter, ring, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0), "io_uring_enter");
	done = ((struct io_uring_cqe *)(c + cq->cqes))[head & *(int *)(c + cq->ring_mask)].res;
	__atomic_store_n((int *)(c + cq->head), head + 1, __ATOMIC_RELEASE);
	munmap(s, submissions);
	munmap(c, completions);
	munmap(sqe, PAGE);
	return done < 0 ? done : done == PAGE ? 0 : -EIO;
}
