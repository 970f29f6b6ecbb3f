//needs report
static void need_file(const char *path)
{
	if (!access(path, F_OK))
		return;
	printf("%s does not exist; ", path);
	skip("this kernel is too old");
}
