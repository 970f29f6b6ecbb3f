//needs report
#include <fcntl.h>

/* The text of a small file; its length, -1 if there is none. */
static long read_text(const char *path, char *text, size_t size)
{
	int file = open(path, O_RDONLY);
	long length = read(file, text, size - 1);

	text[length < 0 ? 0 : length] = '\0';
	close(file);
	return length;
}
