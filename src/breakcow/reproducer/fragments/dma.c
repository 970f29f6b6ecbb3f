//needs ring transfer
/* The device stores into the page. */
static long dma(int process, int page, int value)
{
	char bytes[PAGE];
	int ends[2];
	long done;

	if (!ring[process][page])
		return BUSY;
	memset(bytes, value, PAGE);
	must(pipe(ends), "pipe");
	must(write(ends[1], bytes, PAGE), "pipe");
	done = transfer(ring[process][page], IORING_OP_READ_FIXED, ends[0], ring_address[process][page]);
	close(ends[0]);
	close(ends[1]);
	return done;
}
