//needs text
static pid_t kernel_thread(const char *line)
{
	char path[32], text[32] = "";
	pid_t found;

	for (found = 0; strcmp(text, line); read_text(path, text, sizeof(text)))
		snprintf(path, sizeof(path), "/proc/%d/comm", ++found);
	return found;
}
