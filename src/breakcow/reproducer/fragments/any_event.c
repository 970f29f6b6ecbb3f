//needs messages uffd
static int any_event(void)
{
//with many
	settle();
//else
	read_messages(A);
//end
	return last_event == steps;
}
