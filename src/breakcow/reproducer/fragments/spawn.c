//needs again fork
//after keep_page_table merge_any
/* What a program that was told to be a process of the test does instead of the test. */
static void go_on(char **words)
{
	const long done = 0;

	self = atoi(words[1]);
	desk_file = atoi(words[2]);
	map_desk();
	must(pread(desk_file, wire, sizeof(wire), PROCESSES * sizeof(*desk)), "pread");
	signal(SIGSEGV, on_fault);
	signal(SIGBUS, on_fault);
	send(wire[self][1], &done, sizeof(done), 0);	/* the answer to execve(2) */
	live();
}

/* fork(2), and execve(2) in the child: it has nothing mapped of what its parent has. Then all pages are mapped afresh where they were. */
static long spawn_process(int process, int child)
{
	long done = fork_process(process, child);
	char *start;
	int first, end;

	if (done < 0)
		return done;
	must(CALL(child, SYS_execve), "execve");
//with uffd
	if (uffd[child])
		close(uffd[child]);
	uffd[child] = 0;
//end
	for (first = 0; first < PAGES; first = end) {
		start = at[child][first];
		for (end = first + 1; end < PAGES && at[child][end] == start + (end - first) * PAGE; end++)
			;
		must(CALL(child, SYS_mmap, (long)start, (end - first) * PAGE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0), "mmap");
	}
//with merge_any
	leave_out_others(child);
//end
//with keep_page_table
	keep_page_table(child);
//end
	return done;
}
