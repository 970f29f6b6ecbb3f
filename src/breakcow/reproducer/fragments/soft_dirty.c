//needs shows_soft_dirty
static int soft_dirty_bit;	/* this kernel has it */

static int soft_dirty(int process, int page)
{
	return soft_dirty_bit ? !!(entry(process, page) & SOFT_DIRTY) : UNSEEN;
}
