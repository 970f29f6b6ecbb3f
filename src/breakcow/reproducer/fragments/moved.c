//needs pages
static unsigned long frame_before[PROCESSES][PAGES];
static int has_moved[PROCESSES][PAGES];

/* Which pages have another frame than at the last look? */
static void note_moves(void)
{
	unsigned long now, before;
	int process, page;

	for (process = 0; process < PROCESSES; process++) {
		for (page = 0; page < PAGES; page++) {
			now = pid[process] && present(process, page) ? frame(process, page) : 0;
			before = frame_before[process][page];
			has_moved[process][page] |= now && before && now != before;
			frame_before[process][page] = now;
		}
	}
}

/* From here on moved() tells which pages get another frame. */
static void watch_moves(void)
{
	note_moves();
	memset(has_moved, 0, sizeof(has_moved));
}

static int moved(int process, int page)
{
	return has_moved[process][page];
}
