//needs processes
#include <fcntl.h>
#include <sys/ioctl.h>

/* Of linux/fs.h, since 6.7. */
#define PAGEMAP_SCAN _IOWR('f', 16, unsigned long[12])
#define PAGE_IS_WRITTEN (1 << 1)
#define PAGE_IS_PRESENT (1 << 3)
#define PAGE_IS_SWAPPED (1 << 4)
#define PAGE_IS_PFNZERO (1 << 5)
#define PAGE_IS_SOFT_DIRTY (1 << 7)
#define PM_SCAN_WP_MATCHING (1 << 0)
#define PM_SCAN_CHECK_WPASYNC (1 << 1)

static int reported_step[PAGES];	/* when a scan last reported the page */

/* What is to be reported can be 0: then nothing is, and there is no place for it. */
static long pagemap_scan(int process, int first, int count, int flags, int inverted, int mask, int anyof, int report)
{
	unsigned long region[PAGES][3], start = (unsigned long)at[process][first];
	unsigned long scan[12] = { sizeof(scan), flags, start, start + BYTES(first, count), 0, report ? (unsigned long)region : 0,
				   report ? PAGES : 0, 0, inverted, mask, anyof, report };
	char path[32];
	long found, i;
	int pagemap, page;

//with many
	if (busy(process))
		return BUSY;
//end
	drain_lru();
	snprintf(path, sizeof(path), "/proc/%d/pagemap", pid[process]);
	pagemap = must(open(path, O_RDONLY), path);
	found = ioctl(pagemap, PAGEMAP_SCAN, scan);
	if (found < 0 && errno == ENOTTY)
		skip("PAGEMAP_SCAN needs Linux 6.7");
	found = found < 0 ? -errno : found;
	close(pagemap);
	for (i = 0; i < found; i++)
		for (page = first; page < first + count; page++)
			if ((unsigned long)at[process][page] >= region[i][0] && (unsigned long)at[process][page] < region[i][1])
				reported_step[page] = steps;
	return found < 0 ? found : 0;
}
