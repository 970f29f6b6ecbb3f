//needs scratch
#include <fcntl.h>

static void need_proc_mem_force(void)
{
	int mem = must(open("/proc/self/mem", O_RDWR), "/proc/self/mem");
	char *page = scratch();

	mprotect(page, PAGE, PROT_READ);
	if (pwrite(mem, "x", 1, (long)page) != 1)
		skip("/proc/self/mem does not override protections: see proc_mem.force_override=");
	close(mem);
}
