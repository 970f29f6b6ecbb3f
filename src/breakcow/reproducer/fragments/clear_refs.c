//needs processes
#include <fcntl.h>

static long clear_refs(int process)
{
	long refs = CALL(process, SYS_openat, AT_FDCWD, (long)"/proc/self/clear_refs", O_WRONLY), done;

	if (refs < 0)
		return refs;
	done = CALL(process, SYS_write, refs, (long)"4", 1);
	CALL(process, SYS_close, refs);
	return done < 0 ? done : 0;
}
