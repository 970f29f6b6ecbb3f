//needs processes settings state_of kernel_thread
//after ksm
#include <sys/prctl.h>

#define THP "/sys/kernel/mm/transparent_hugepage/"

static struct setting thp_setting[] = {
	{ THP "enabled", "madvise", "" }, { THP "hugepages-2048kB/enabled", "inherit", "" }, { THP "defrag", "madvise", "" },
	{ THP "use_zero_page", "1", "" }, { THP "khugepaged/pages_to_scan", "1", "" },
	{ THP "khugepaged/scan_sleep_millisecs", "4294967295", "" }, { NULL, NULL, "" }
};

static void thp_back(void)
{
	put_back(thp_setting);
}

static void need_thp(void)
{
	if (access(THP "enabled", F_OK))
		skip("this kernel has no transparent huge pages");
	if (access(THP "enabled", W_OK))
		skip(THP " cannot be written");
}

/* khugepaged sleeps: what is split stays split. The first memory for huge pages wakes one without work, so it gets some here. */
static void start_thp(void)
{
	one_at_a_time();
	at_end(thp_setting, thp_back);
	change(thp_setting);
	prctl(PR_SET_THP_DISABLE, 0, 0, 0, 0);
	madvise(mmap(NULL, 2 * HUGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), 2 * HUGE, MADV_HUGEPAGE);
	prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
	while (state_of(kernel_thread("khugepaged\n")) != 'S')
		usleep(50);
}

/* Memory of A that a huge page is for: the last page stands for all that the others leave of 2 MiB. */
static long map_huge(int first, int count)
{
	long area = fresh_area();
	int page;

	for (page = first; page < first + count; page++)
		at[A][page] = (char *)area + (page - first) * PAGE;
	left[first + count - 1] = HUGE - (count - 1) * PAGE;
	CALL(A, SYS_prctl, PR_SET_THP_DISABLE, 0, 0, 0, 0);
	if (CALL(A, SYS_mmap, area, HUGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != area)
		return -ENOMEM;
	return CALL(A, SYS_madvise, area, HUGE, MADV_HUGEPAGE);
}
