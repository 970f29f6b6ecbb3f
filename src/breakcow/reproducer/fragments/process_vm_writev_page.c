//needs process_vm
static long process_vm_writev_page(int process, int page, int value)
{
	long done;

	memset(desk[process], value, PAGE);
	done = process_vm(process, SYS_process_vm_writev, page);
	return done < 0 ? done : 0;
}
