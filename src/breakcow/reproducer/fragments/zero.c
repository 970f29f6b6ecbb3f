//needs pages
/* The shared zero page. */
static int zero(int process, int page)
{
	return frame(process, page) && !present(process, page);
}
