//needs processes text
//after ksm
#include <sys/prctl.h>

#define THP "/sys/kernel/mm/transparent_hugepage/"

/* What keeps huge pages away, as in a machine with little memory, is changed, and put back at the end. */
static struct { const char *path, *off, *on; int changed; } thp[] = {
	{ THP "enabled", "never", "madvise", 0 }, { THP "use_zero_page", "0", "1", 0 }
};

static int write_text(const char *path, const char *text)
{
	int file = open(path, O_WRONLY), done = write(file, text, strlen(text)) > 0;

	close(file);
	return done;
}

static void thp_back(void)
{
	int i;

	for (i = 0; i < 2; i++)
		if (thp[i].changed)
			write_text(thp[i].path, thp[i].off);
}

static void need_thp(void)
{
	char text[64];
	int i;

	atexit(thp_back);
	for (i = 0; i < 2; i++) {
		if (read_text(thp[i].path, text, sizeof(text)) < 0)
			skip("this kernel has no transparent huge pages");
		if (!strstr(text, "[never]") && strcmp(text, "0\n"))
			continue;
		if (!write_text(thp[i].path, thp[i].on))
			skip(THP " cannot be written");
		thp[i].changed = 1;
	}
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
