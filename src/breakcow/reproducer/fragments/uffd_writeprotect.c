//needs uffd_range
static long uffd_writeprotect(int process, int first, int count, int mode)
{
	struct uffdio_writeprotect argument = { .range = uffd_range(process, first, count), .mode = mode };

	return uffd_ioctl(process, UFFDIO_WRITEPROTECT, &argument);
}
