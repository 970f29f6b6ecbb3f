//needs call
#include <fcntl.h>

static char *const desk_at = (char *)0x2000000000;	/* the desk of a program is where the desk of another is */
static int desk_file;		/* so that one that execve(2) started can map it too; the sockets stand behind it */

static void map_desk(void)
{
	desk = mmap(desk_at, PROCESSES * sizeof(*desk), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, desk_file, 0);
}

static void make_desk(void)
{
	desk_file = must(memfd_create("desk", 0), "memfd_create");
	must(ftruncate(desk_file, PROCESSES * sizeof(*desk)), "ftruncate");
	map_desk();
}

/* execve(2) of this program, which is told which process of the test it is. */
static long start_again(int process)
{
	char number[12], file[12], *words[] = { "process", number, file, NULL };

	snprintf(number, sizeof(number), "%d", process);
	snprintf(file, sizeof(file), "%d", desk_file);
	execv("/proc/self/exe", words);
	return -errno;
}
