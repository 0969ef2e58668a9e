/*
 * The trivial synchronous program of Linus' challenge of 2008: walk a tree, lstat everything and
 * print it. Hot, an asynchronous one has to be as fast; cold, it has to overlap.
 */
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static char path[65536];

static void walk(size_t len)
{
	DIR *dir = opendir(path);
	struct dirent *e;
	struct stat st;

	if (!dir) {
		perror(path);
		return;
	}
	path[len] = '/';
	while ((e = readdir(dir))) {
		size_t n = strlen(e->d_name);

		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		memcpy(path + len + 1, e->d_name, n + 1);
		if (lstat(path, &st)) {
			perror(path);
			continue;
		}
		printf("%s %lld\n", path, (long long)st.st_size);
		if (S_ISDIR(st.st_mode))
			walk(len + 1 + n);
	}
	closedir(dir);
}

int main(int argc, char **argv)
{
	size_t n;

	if (argc != 2)
		return 2;
	n = strlen(argv[1]);
	memcpy(path, argv[1], n + 1);
	printf("%s\n", path);
	walk(n);
	return 0;
}
