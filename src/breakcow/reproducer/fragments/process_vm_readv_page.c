//needs process_vm
static long process_vm_readv_page(int process, int page)
{
	long done = process_vm(process, SYS_process_vm_readv, page);

	return done < 0 ? done : 0;
}
