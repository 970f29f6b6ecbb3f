//needs ring
static long unpin_page(int process, int page)
{
	if (!ring[process][page])
		return BUSY;
	must(syscall(SYS_io_uring_register, ring[process][page], IORING_UNREGISTER_BUFFERS, NULL, 0), "unregister");
	close(ring[process][page]);
	ring[process][page] = 0;
	return 0;
}
