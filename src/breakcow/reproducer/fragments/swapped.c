//needs pages
/* Not a pte marker, which pagemap shows as a swap entry of a type that no swap area has. */
static int swapped(int process, int page)
{
	unsigned long seen = entry(process, page), field = seen & PFN;

	if (seen & PRESENT || !(seen & SWAP))
		return NO;
	return !(seen & UFFD_WP) || (field && (field & 31) < 16);
}
