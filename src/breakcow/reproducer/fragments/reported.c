//needs pagemap_scan
/* The scan of the last step has reported the page. */
static int reported(int page)
{
	return reported_step[page] == steps;
}
