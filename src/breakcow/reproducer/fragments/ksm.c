//needs text sleeping processes
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sched.h>

#define KSM "/sys/kernel/mm/ksm/"

static pid_t ksmd, restorer;
static int alive;		/* once this is closed, by whatever end, the restorer goes to work */
static struct { const char *file, *value; char before[32]; } setting[] = {
	{ "advisor_mode", "none", "" }, { "use_zero_pages", "0", "" }, { "max_page_sharing", "256", "" },
	{ "merge_across_nodes", "1", "" }, { "smart_scan", "0", "" }, { "pages_to_scan", "1073741824", "" },
	{ "sleep_millisecs", "100000", "" }, { "run", "0", "" }, { NULL, NULL, "" }
}, *knob;

static long ksm_write(const char *file, const char *text)
{
	char path[64];
	long done;
	int fd;

	snprintf(path, sizeof(path), KSM "%s", file);
	fd = open(path, O_WRONLY);
	done = write(fd, text, strlen(text)) < 0 ? -errno : 0;
	close(fd);
	return done;
}

static long ksm_read(const char *file)
{
	char path[64], text[32];

	snprintf(path, sizeof(path), KSM "%s", file);
	return read_text(path, text, sizeof(text)) < 0 ? -1 : atol(text);
}

/*
 * A change of sleep_millisecs, and of run to 1, wakes a sleeping ksmd for one batch of pages_to_scan pages. It ends with the
 * last page, so with more than the machine has it is one full scan.
 */
static void scan_by(const char *file, const char *value)
{
	long before;

	while (!sleeping(ksmd))
		usleep(50);
	before = ksm_read("full_scans");
	must(ksm_write(file, value), file);
	while (ksm_read("full_scans") == before || !sleeping(ksmd))
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

static void wait_for_restorer(void)
{
	close(alive);
	waitpid(restorer, NULL, 0);
}

/* Another process unmerges everything and puts the settings back when this one ends, even if it is killed. */
static void restore_at_end(void)
{
	char path[64], text[64], *chosen;
	cpu_set_t cpus;
	int ends[2];

	for (knob = setting; knob->file; knob++) {
		snprintf(path, sizeof(path), KSM "%s", knob->file);
		read_text(path, text, sizeof(text));
		chosen = strchr(text, '[');	/* advisor_mode: [none] scan-time */
		sscanf(chosen ? chosen + 1 : text, "%31[^]\n]", knob->before);
	}
	must(sched_getaffinity(ksmd, sizeof(cpus), &cpus), "sched_getaffinity");
	must(pipe(ends), "pipe");
	restorer = must(fork(), "fork");
	alive = ends[1];
	if (restorer) {
		atexit(wait_for_restorer);
		return;
	}
	setsid();
	close(ends[1]);
	while (read(ends[0], text, 1) < 0)
		;
	ksm_write("run", "2");
	for (knob = setting; knob->file; knob++)
		ksm_write(knob->file, knob->before);
	sched_setaffinity(ksmd, sizeof(cpus), &cpus);
	_exit(0);
}

/* From here on ksmd scans when it is told to, on our CPU; nothing is merged yet. */
static void start_ksm(void)
{
	char path[32], text[16] = "";
	cpu_set_t cpu;

	if (access(KSM "run", W_OK))
		skip(KSM " cannot be written");
	while (strcmp(text, "ksmd\n")) {
		snprintf(path, sizeof(path), "/proc/%d/comm", ++ksmd);
		read_text(path, text, sizeof(text));
	}
	mkdir("/run/breakcow", 0700);
	flock(open("/run/breakcow/lock", O_RDWR | O_CREAT, 0600), LOCK_EX);	/* one at a time */
	restore_at_end();
	must(sched_getaffinity(0, sizeof(cpu), &cpu), "sched_getaffinity");
	must(sched_setaffinity(ksmd, sizeof(cpu), &cpu), "sched_setaffinity");
	/* ksmd makes no full scan where nothing is mergeable. */
	madvise(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), PAGE, MADV_MERGEABLE);
	ksm_write("run", "2");
	for (knob = setting; knob->file; knob++)
		ksm_write(knob->file, knob->value);
	ksm_write("sleep_millisecs", fresh_sleep());
	scan_by("run", "1");
}
