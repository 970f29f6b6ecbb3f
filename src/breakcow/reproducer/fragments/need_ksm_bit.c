//needs pages
static void need_ksm_bit(void)
{
	char here = 0;

	if (number_of("/proc/kpageflags", number_of("/proc/self/pagemap", (unsigned long)&here / PAGE) & PFN) & KPF_KSM)
		skip("KPF_KSM of /proc/kpageflags is set for pages that KSM never saw");
}
