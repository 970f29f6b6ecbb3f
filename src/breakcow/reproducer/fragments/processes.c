//needs call
//after alone many
//with huge_pages
#define HUGE 0x200000L

static long left[PAGES];	/* bytes of what is left of a huge page, by the page that stands for it */

__attribute__((unused)) static long bytes(int first, int count)
{
	long sum = 0;
	int page;

	for (page = first; page < first + count; page++)
		sum += left[page] ? left[page] : PAGE;
	return sum;
}
#define BYTES(first, count) bytes(first, count)

//else
#define BYTES(first, count) ((count) * PAGE)

//end
static long fresh_area(void)
{
	static long areas;

//with huge_pages
	return 0x1000000000 + areas++ * 2 * HUGE;
//else
	return 0x1000000000 + areas++ * 0x10000;
//end
}
