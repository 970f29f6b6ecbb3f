//needs processes
#include <fcntl.h>

static long mem_write(int process, int page, int value)
{
	long mem = CALL(process, SYS_openat, AT_FDCWD, (long)"/proc/self/mem", O_RDWR), done;

	if (mem < 0)
		return mem;
	memset(desk[process], value, PAGE);
	done = CALL(process, SYS_pwrite64, mem, (long)desk[process], PAGE, (long)at[process][page]);
	CALL(process, SYS_close, mem);
	return done < 0 ? done : 0;
}
