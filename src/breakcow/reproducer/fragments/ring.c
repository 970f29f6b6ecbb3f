//needs processes
//many take
//after transfer
#include <linux/io_uring.h>
#include <sys/uio.h>

static int ring[PROCESSES][PAGES];	/* the io_uring in which the page is a fixed buffer, 0 for none */

static long pin_page(int process, int page)
{
	struct io_uring_params *params = (struct io_uring_params *)(desk[process] + PAGE);
	struct iovec *buffer = (struct iovec *)(params + 1);
	long fd, done;

	if (ring[process][page])
		return BUSY;
	memset(params, 0, sizeof(*params));
	*buffer = (struct iovec){ at[process][page], PAGE };
	fd = CALL(process, SYS_io_uring_setup, 1, (long)params);
	if (fd < 0 && fd != BUSY)
		skip("io_uring is not offered here: see kernel.io_uring_disabled");
	if (fd < 0)
		return fd;
//with many
	ring[process][page] = take(process, fd);
	done = CALL(process, SYS_io_uring_register, fd, IORING_REGISTER_BUFFERS, (long)buffer, 1);
	CALL(process, SYS_close, fd);
//else
	ring[process][page] = fd;
	done = CALL(process, SYS_io_uring_register, fd, IORING_REGISTER_BUFFERS, (long)buffer, 1);
//end
	if (done < 0 && done != BLOCKS) {
		close(ring[process][page]);
		ring[process][page] = 0;
	}
//with transfer
	ring_params = *params;
	ring_address[process][page] = at[process][page];
//end
	return done;
}
