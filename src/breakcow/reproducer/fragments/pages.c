//needs processes
#include <fcntl.h>

#define PFN ((1UL << 55) - 1)	/* in /proc/PID/pagemap */
#define SOFT_DIRTY (1UL << 55)
#define UFFD_WP (1UL << 57)
#define SWAP (1UL << 62)
#define PRESENT (1UL << 63)
#define KPF_ZERO_PAGE (1UL << 24)	/* in /proc/kpageflags */

static unsigned long number_of(const char *path, unsigned long index)
{
	unsigned long number = 0;
	int file = must(open(path, O_RDONLY), path);

	must(pread(file, &number, sizeof(number), index * sizeof(number)), path);
	close(file);
	return number;
}

static unsigned long entry(int process, int page)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d/pagemap", pid[process]);
	return number_of(path, (unsigned long)at[process][page] / PAGE);
}

/* The number of the page frame, 0 for none. */
static unsigned long frame(int process, int page)
{
	unsigned long seen = entry(process, page);

	if (!(seen & PRESENT))
		return 0;
	if (!(seen & PFN))
		skip("page frame numbers are only shown with CAP_SYS_ADMIN");
	return seen & PFN;
}

/* A page of its own, not the shared zero page. */
static int present(int process, int page)
{
	unsigned long number = frame(process, page);

	return number && !(number_of("/proc/kpageflags", number) & KPF_ZERO_PAGE);
}
