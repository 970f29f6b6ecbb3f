//needs uffd
//many look_if_woken
static struct uffdio_range uffd_range(int process, int first, int count)
{
	return (struct uffdio_range){ (unsigned long)at[process][first], BYTES(first, count) };
}

static long uffd_ioctl(int process, unsigned long request, void *argument)
{
	long done;

	if (!uffd[process])
		return BUSY;
	done = ioctl(uffd[process], request, argument) ? -errno : 0;
//with many
	look_if_woken(process);
//end
	return done;
}
