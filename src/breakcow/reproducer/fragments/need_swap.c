//needs text
static void need_swap(void)
{
	char swaps[512], *line;

	line = read_text("/proc/swaps", swaps, sizeof(swaps)) > 0 ? strchr(swaps, '\n') : NULL;
	if (!line || !line[1])
		skip("no swap area is in use: see swapon(8)");
}
