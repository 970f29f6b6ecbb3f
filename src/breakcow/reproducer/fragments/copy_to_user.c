//needs processes
/* read(2) from a file straight into the page. */
static long copy_to_user(int process, int page, int value)
{
	long file = CALL(process, SYS_memfd_create, (long)"page", 0), done;

	if (file < 0)
		return file;
	memset(desk[process], value, PAGE);
	CALL(process, SYS_write, file, (long)desk[process], PAGE);
	done = CALL(process, SYS_pread64, file, (long)at[process][page], PAGE, 0);
	CALL(process, SYS_close, file);
	return done < 0 ? done : 0;
}
