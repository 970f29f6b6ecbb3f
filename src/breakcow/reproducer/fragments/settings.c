//needs text
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>

struct setting {
	const char *path, *value;
	char before[32];
};

static struct {
	int alive;		/* once this is closed, by whatever end, the process goes to work */
	pid_t pid;
} restorer[2];
static int restorers;

static long write_text(const char *path, const char *text)
{
	int file = open(path, O_WRONLY);
	long done = write(file, text, strlen(text)) < 0 ? -errno : 0;

	close(file);
	return done;
}

/* No other program changes settings until this one has put them back. */
static void one_at_a_time(void)
{
	static int file;

	if (file)
		return;
	mkdir("/run/breakcow", 0700);
	file = open("/run/breakcow/lock", O_RDWR | O_CREAT, 0600);
	flock(file, LOCK_EX);
}

static void wait_for_restorer(void)
{
	close(restorer[--restorers].alive);
	waitpid(restorer[restorers].pid, NULL, 0);
}

static void put_back(const struct setting *all)
{
	for (; all->path; all++)
		write_text(all->path, all->before);
}

static void change(const struct setting *all)
{
	for (; all->path; all++)
		write_text(all->path, all->value);
}

/* Another process calls undo(), which puts the settings back, when this one ends, even if it is killed. */
static void at_end(struct setting *all, void (*undo)(void))
{
	char text[64], *chosen;
	int ends[2];

	for (; all->path; all++) {
		read_text(all->path, text, sizeof(text));
		chosen = strchr(text, '[');	/* always [madvise] never */
		sscanf(chosen ? chosen + 1 : text, "%31[^]\n]", all->before);
	}
	must(pipe(ends), "pipe");
	restorer[restorers].alive = ends[1];
	restorer[restorers].pid = must(fork(), "fork");
	if (restorer[restorers++].pid) {
		atexit(wait_for_restorer);
		return;
	}
	setsid();
	while (restorers)
		close(restorer[--restorers].alive);
	while (read(ends[0], text, 1) < 0)
		;
	undo();
	_exit(0);
}
