//needs pages
/* On some kernels (6.12 to 7.0) the bit is set for every anonymous page, also for those of our stack. */
static int ksm_page(int process, int page)
{
	char here = 0;

	if (number_of("/proc/kpageflags", number_of("/proc/self/pagemap", (unsigned long)&here / PAGE) & PFN) & KPF_KSM)
		return UNSEEN;
	return present(process, page) && number_of("/proc/kpageflags", frame(process, page)) & KPF_KSM;
}
