//needs huge_pages
#include <sys/uio.h>

/* After the first store: what is left of the huge page is nothing that KSM finds equal, and no zeros. */
static void fill(int process, int page)
{
	static int filled[PAGES];
	static long number;
	static char numbers[HUGE];
	struct iovec from, to;
	long offset;
	int rest;

	for (rest = page; rest < PAGES && !left[rest]; rest++)
		;
	if (rest == PAGES || filled[rest]++ || (long)at[process][rest] - (long)at[process][page] >= HUGE)
		return;
	for (offset = 0; offset < left[rest]; offset += PAGE)
		*(long *)(numbers + offset) = ++number;
	from = (struct iovec){ numbers, left[rest] };
	to = (struct iovec){ at[process][rest], left[rest] };
	must(process_vm_writev(pid[process], &from, 1, &to, 1, 0), "process_vm_writev");
}
