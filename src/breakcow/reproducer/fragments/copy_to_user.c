//needs processes
/* read(2) from a file straight into the page. */
static long copy_to_user(int process, int page, int value)
{
	long done;

	memset(desk[process], value, PAGE);
	done = CALL(process, SYS_pread64, desk_file, (long)at[process][page], PAGE, process * sizeof(*desk));
	return done < 0 ? done : 0;
}
