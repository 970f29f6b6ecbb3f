//needs scratch populate
static void need_populate(void)
{
	if (madvise(scratch(), PAGE, MADV_POPULATE_READ))
		skip("MADV_POPULATE_READ and MADV_POPULATE_WRITE need Linux 5.14");
}
