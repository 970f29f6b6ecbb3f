//needs ksm
static int alone;				/* nobody else has memory for KSM: its counters are ours */

static long counted_pages(void)
{
	return ksm_read("pages_shared") + ksm_read("pages_sharing") + ksm_read("pages_unshared");
}

static void look_if_alone(void)
{
	alone = !counted_pages() && !ksm_read("pages_volatile");
}

/* The value of a counter; a kernel that has none, or that counts pages of others too, shows nothing. */
static int counts(long value, long wanted)
{
	return value < 0 || !alone || counted_pages() > PROCESSES * PAGES ? UNSEEN : value == wanted;
}
