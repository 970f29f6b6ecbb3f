// SPDX-License-Identifier: MIT
/*
 * What io_uring stores into a fixed buffer of MADV_FREE memory is lost when the page is reclaimed: see io-uring-buffer-not-dirty.md.
 *
 * cc io-uring-madv-free.c && ./a.out. No swap area and no privilege is needed. Exit status: 0 nothing is lost, 1 it is, 4 no io_uring.
 */
#define _GNU_SOURCE
#include <linux/io_uring.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define PAGE 4096

static int failed(const char *call)
{
	perror(call);
	return 4;
}

int main(void)
{
	struct io_uring_params params = { 0 };
	char *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), nines[PAGE];
	struct iovec buffer = { page, PAGE };
	struct io_uring_sqe *requests;
	char *queue;
	int ring, ends[2];

	memset(page, 7, PAGE);
	if (madvise(page, PAGE, MADV_FREE))	/* as an allocator does; what is stored next is to stay */
		return failed("madvise");

	ring = syscall(SYS_io_uring_setup, 1, &params);
	if (ring < 0)
		return failed("io_uring_setup");
	queue = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQ_RING);
	requests = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQES);
	if (syscall(SYS_io_uring_register, ring, IORING_REGISTER_BUFFERS, &buffer, 1))
		return failed("io_uring_register");

	memset(nines, 9, PAGE);
	if (pipe(ends) || write(ends[1], nines, PAGE) != PAGE)
		return failed("pipe");
	requests[0] = (struct io_uring_sqe){ .opcode = IORING_OP_READ_FIXED, .fd = ends[0], .addr = (unsigned long)page, .len = PAGE };
	++*(unsigned *)(queue + params.sq_off.tail);
	if (syscall(SYS_io_uring_enter, ring, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) != 1)
		return failed("io_uring_enter");
	syscall(SYS_io_uring_register, ring, IORING_UNREGISTER_BUFFERS, NULL, 0);

	madvise(page, PAGE, MADV_PAGEOUT);	/* or memory is short */
	printf("io_uring stored 9, the page holds %d\n", *page);
	return *page != 9;
}
