//needs scratch pages uffd_abi
/* Since 5.14 bit 57 of pagemap shows write-protection. */
static int shows_uffd_wp(void)
{
	struct uffdio_api api = { .api = UFFD_API, .features = UFFD_FEATURE_PAGEFAULT_FLAG_WP };
	struct uffdio_range range = { (unsigned long)scratch(), PAGE };
	struct uffdio_register reg = { .range = range, .mode = UFFDIO_REGISTER_MODE_WP };
	struct uffdio_writeprotect wp = { .range = range, .mode = UFFDIO_WRITEPROTECT_MODE_WP };
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK), bit;

	bit = !ioctl(fd, UFFDIO_API, &api) && !ioctl(fd, UFFDIO_REGISTER, &reg) && !ioctl(fd, UFFDIO_WRITEPROTECT, &wp) &&
	      number_of("/proc/self/pagemap", range.start / PAGE) & UFFD_WP;
	ioctl(fd, UFFDIO_UNREGISTER, &range);
	close(fd);
	return bit;
}
