//needs uffd_range
static long uffd_register(int process, int first, int count)
{
	struct uffdio_register argument = { .range = uffd_range(process, first, count), .mode = UFFDIO_REGISTER_MODE_WP };

	return uffd_ioctl(process, UFFDIO_REGISTER, &argument);
}
