//needs uffd_range
static long uffd_unregister(int process, int first, int count)
{
	struct uffdio_range argument = uffd_range(process, first, count);

	return uffd_ioctl(process, UFFDIO_UNREGISTER, &argument);
}
