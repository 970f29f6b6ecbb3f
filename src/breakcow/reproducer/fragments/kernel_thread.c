//needs text
static pid_t kernel_thread(const char *name)
{
	char path[32], text[32] = "";
	pid_t found = 0;

	while (strcmp(text, name)) {
		snprintf(path, sizeof(path), "/proc/%d/comm", ++found);
		if (read_text(path, text, sizeof(text)) >= 0)
			text[strcspn(text, "\n")] = 0;
	}
	return found;
}
