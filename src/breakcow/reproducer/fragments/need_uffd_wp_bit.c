//needs shows_uffd_wp
static void need_uffd_wp_bit(void)
{
	if (!shows_uffd_wp())
		skip("pagemap does not show write-protection: it needs Linux 5.14");
}
