//needs processes
//many take
#include <fcntl.h>
#include <sys/uio.h>

static int splice_pipe[PROCESSES][PAGES];	/* the pipe that holds the page, 0 for none */

static long vmsplice_page(int process, int page)
{
	struct iovec *iov = (struct iovec *)(desk[process] + PAGE);
	int *ends = (int *)(iov + 1);
	long done;

	if (splice_pipe[process][page])
		return BUSY;
	*iov = (struct iovec){ at[process][page], PAGE };
	done = CALL(process, SYS_pipe2, (long)ends, O_CLOEXEC);
	if (done < 0)
		return done;
	done = CALL(process, SYS_vmsplice, ends[1], (long)iov, 1, 0);
//with many
	if (done >= 0)
		splice_pipe[process][page] = take(process, ends[0]);
	CALL(process, SYS_close, ends[0]);
//else
	if (done >= 0)
		splice_pipe[process][page] = ends[0];
	else
		close(ends[0]);
//end
	CALL(process, SYS_close, ends[1]);
	return done < 0 ? done : 0;
}
