//needs ksm_bit_lies
static void need_ksm_bit(void)
{
	if (ksm_bit_lies())
		skip("KPF_KSM of /proc/kpageflags is set for pages that KSM never saw");
}
