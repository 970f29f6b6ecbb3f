//needs ksm_bit_lies
static int ksm_page(int process, int page)
{
	if (!present(process, page))
		return NO;
	return ksm_bit_lies() ? UNSEEN : !!(number_of("/proc/kpageflags", frame(process, page)) & KPF_KSM);
}
