//needs ring transfer value_of
/* What the device sees through its pin. */
static int pinned(int process, int page, int value)
{
	char bytes[PAGE];
	int ends[2];

	if (!ring[process][page])
		return NO;
	must(pipe(ends), "pipe");
	must(transfer(ring[process][page], IORING_OP_WRITE_FIXED, ends[1], ring_address[process][page]), "WRITE_FIXED");
	must(read(ends[0], bytes, PAGE), "pipe");
	close(ends[0]);
	close(ends[1]);
	return value_of(bytes) == value;
}
