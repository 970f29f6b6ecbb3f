//needs ksm
static void ksm_scan(void)
{
	drain_lru();
	if (ksm_read("run") == 1)
		scan_by("sleep_millisecs", fresh_sleep());
}
