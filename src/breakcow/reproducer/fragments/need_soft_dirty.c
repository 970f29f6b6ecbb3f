//needs shows_soft_dirty
static void need_soft_dirty(void)
{
	if (!shows_soft_dirty())
		skip("this kernel is built without CONFIG_MEM_SOFT_DIRTY");
}
