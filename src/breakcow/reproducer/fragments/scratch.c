//needs processes
/* A written page of this program, to try things on. */
static char *scratch(void)
{
	char *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	*page = 1;
	return page;
}
