//needs settings state_of processes kernel_thread
#include <sched.h>

#define KSM "/sys/kernel/mm/ksm/"

static pid_t ksmd;
static cpu_set_t ksmd_cpus;
static struct setting ksm_setting[] = {
	{ KSM "advisor_mode", "none", "" }, { KSM "use_zero_pages", "0", "" }, { KSM "max_page_sharing", "256", "" },
	{ KSM "merge_across_nodes", "1", "" }, { KSM "smart_scan", "0", "" }, { KSM "pages_to_scan", "1073741824", "" },
	{ KSM "sleep_millisecs", "100000", "" }, { KSM "run", "0", "" }, { NULL, NULL, "" }
};

static long ksm_write(const char *file, const char *text)
{
	char path[64];

	snprintf(path, sizeof(path), KSM "%s", file);
	return write_text(path, text);
}

static long ksm_read(const char *file)
{
	char path[64], text[32];

	snprintf(path, sizeof(path), KSM "%s", file);
	return read_text(path, text, sizeof(text)) < 0 ? -1 : atol(text);
}

/* A change of sleep_millisecs, and of run to 1, wakes ksmd for one batch. Of more pages than the machine has it is one full scan. */
static void scan_by(const char *file, const char *value)
{
	long before;

	while (state_of(ksmd) != 'S')
		usleep(50);
	before = ksm_read("full_scans");
	must(ksm_write(file, value), file);
	while (ksm_read("full_scans") == before || state_of(ksmd) != 'S')
		usleep(50);
	must(before + 1 - ksm_read("full_scans"), "something else steps ksmd");
}

static const char *fresh_sleep(void)
{
	static char text[16];
	static int number;

	snprintf(text, sizeof(text), "%d", 100000 + ++number);
	return text;
}

static void ksm_back(void)
{
	ksm_write("run", "2");
	put_back(ksm_setting);
	sched_setaffinity(ksmd, sizeof(ksmd_cpus), &ksmd_cpus);
}

/* From here on ksmd scans when it is told to, on our CPU; nothing is merged yet. */
static void start_ksm(void)
{
	cpu_set_t cpu;

	if (access(KSM "run", W_OK))
		skip(KSM " cannot be written");
	ksmd = kernel_thread("ksmd\n");
	one_at_a_time();
	must(sched_getaffinity(ksmd, sizeof(ksmd_cpus), &ksmd_cpus), "sched_getaffinity");
	at_end(ksm_setting, ksm_back);
	must(sched_getaffinity(0, sizeof(cpu), &cpu), "sched_getaffinity");
	must(sched_setaffinity(ksmd, sizeof(cpu), &cpu), "sched_setaffinity");
	/* ksmd makes no full scan where nothing is mergeable. */
	madvise(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), PAGE, MADV_MERGEABLE);
	ksm_write("run", "2");
	change(ksm_setting);
	ksm_write("sleep_millisecs", fresh_sleep());
	scan_by("run", "1");
}
