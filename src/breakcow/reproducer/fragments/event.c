//needs messages uffd
/* The last step raised a write-protect event for the page. */
static int event(int process, int page)
{
//with many
	settle();
//else
	read_messages(A);
//end
	return event_step[process][page] == steps;
}
