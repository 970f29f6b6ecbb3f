//needs processes
/* Private anonymous memory of A, side by side, other mappings at a distance. */
static long map_pages(int first, int count)
{
	long area = fresh_area();
	int page;

	for (page = first; page < first + count; page++)
		at[A][page] = (char *)area + (page - first) * PAGE;
	return CALL(A, SYS_mmap, area, count * PAGE, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == area ? 0 : -ENOMEM;
}
