//needs pages
#define KPF_KSM (1UL << 21)	/* in /proc/kpageflags */

/* On some kernels (6.12 to 7.0) the bit is set for every anonymous page, also for those of our stack. */
static int ksm_bit_lies(void)
{
	char here = 0;

	return !!(number_of("/proc/kpageflags", number_of("/proc/self/pagemap", (unsigned long)&here / PAGE) & PFN) & KPF_KSM);
}
