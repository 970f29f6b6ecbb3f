//needs counter
static long zero_pages_before;			/* before 6.18 it does not always come back to 0 */
