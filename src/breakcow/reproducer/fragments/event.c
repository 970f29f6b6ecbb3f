//needs uffd
/* The last step raised a write-protect event for the page. */
static int event(int process, int page)
{
	settle();
	return event_step[process][page] == steps;
}
