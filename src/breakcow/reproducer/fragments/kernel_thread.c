//needs text
static pid_t kernel_thread(const char *line)
{
	char path[32], text[32] = "";
	pid_t found = 0;

	while (strcmp(text, line)) {
		snprintf(path, sizeof(path), "/proc/%d/comm", ++found);
		read_text(path, text, sizeof(text));
	}
	return found;
}
