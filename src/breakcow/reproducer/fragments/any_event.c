//needs uffd
static int any_event(void)
{
	settle();
	return last_event == steps;
}
