//needs processes
#include <sys/uio.h>

/* process_vm_readv(2) or process_vm_writev(2) of its own page: a transient pin. */
static long process_vm(int process, long call, int page)
{
	struct iovec *iov = (struct iovec *)(desk[process] + PAGE);

	iov[0] = (struct iovec){ desk[process], PAGE };
	iov[1] = (struct iovec){ at[process][page], PAGE };
	return CALL(process, call, pid[process], (long)&iov[0], 1, (long)&iov[1], 1, 0);
}
