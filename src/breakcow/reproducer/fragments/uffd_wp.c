//needs shows_uffd_wp
static int uffd_wp_bit;		/* this kernel has it */

static int uffd_wp(int process, int page)
{
	return uffd_wp_bit ? !!(entry(process, page) & UFFD_WP) : UNSEEN;
}
