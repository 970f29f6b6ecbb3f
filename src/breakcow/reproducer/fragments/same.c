//needs pages
static int same(int process, int page, int other_process, int other)
{
	return frame(process, page) && frame(process, page) == frame(other_process, other);
}
