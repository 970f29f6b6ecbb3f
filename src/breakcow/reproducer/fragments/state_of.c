//needs text
static char state_of(pid_t process)
{
	char path[32], text[256], *end;

	snprintf(path, sizeof(path), "/proc/%d/stat", process);
	end = read_text(path, text, sizeof(text)) < 0 ? NULL : strrchr(text, ')');
	return end ? end[2] : '?';
}
