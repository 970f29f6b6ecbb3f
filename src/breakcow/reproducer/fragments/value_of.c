//needs processes
/* The value that every byte has, 256 if they differ. */
static long value_of(const char *bytes)
{
	long i;

	for (i = 1; i < PAGE; i++)
		if (bytes[i] != bytes[0])
			return 256;
	return (unsigned char)bytes[0];
}
