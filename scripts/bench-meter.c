// SPDX-License-Identifier: GPL-2.0
/*
 * bench-meter - how many instructions something takes, for bench-icount
 *
 * usage: bench-meter write FILE TEXT      one write(2) of TEXT
 *        bench-meter stream FILE INPUT    what is in INPUT, written to FILE
 *        bench-meter read FILE            all of it, from open to close
 *        bench-meter run COMMAND...       a process, its output thrown away
 *        bench-meter lines FILE INPUT     each line of INPUT by a write(2)
 *
 * Prints the number.  What only prepares (opening what is written to, reading
 * INPUT) is not measured.
 */
#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

static void write_all(int fd, const char *path, const char *text, size_t length)
{
	while (length) {
		ssize_t taken = write(fd, text, length);

		if (taken < 0)
			err(1, "write to %s", path);
		text += taken;
		length -= taken;
	}
}

static unsigned long long measure_write(const char *path, const char *text)
{
	int fd = open_file(path, O_WRONLY);
	unsigned long long start = instructions();

	write_all(fd, path, text, strlen(text));
	return instructions() - start;
}

static unsigned long long measure_stream(const char *path, const char *input)
{
	int fd = open_file(path, O_WRONLY);
	unsigned long long start;
	size_t length;
	char *text;

	text = file_text(input, &length);
	start = instructions();
	write_all(fd, path, text, length);
	return instructions() - start;
}

static unsigned long long measure_lines(const char *path, const char *input)
{
	int fd = open_file(path, O_WRONLY);
	unsigned long long start;
	char *line, *end, *text;
	size_t length;

	text = file_text(input, &length);
	start = instructions();
	for (line = text; (end = strchr(line, '\n')); line = end + 1)
		write_all(fd, path, line, end + 1 - line);
	return instructions() - start;
}

static unsigned long long measure_read(const char *path)
{
	unsigned long long start = instructions();
	static char buffer[1 << 17];
	int fd = open_file(path, O_RDONLY);
	ssize_t length;

	do {
		length = read(fd, buffer, sizeof(buffer));
	} while (length > 0);
	if (length < 0)
		err(1, "read of %s", path);
	close(fd);
	return instructions() - start;
}

static unsigned long long measure_run(char **command)
{
	unsigned long long start = instructions();
	pid_t pid = vfork();
	int status;

	if (pid < 0)
		err(1, "vfork");
	if (!pid) {
		int null = open("/dev/null", O_WRONLY);

		dup2(null, STDOUT_FILENO);
		execvp(command[0], command);
		_exit(127);
	}
	if (waitpid(pid, &status, 0) != pid || status)
		errx(1, "%s failed", command[0]);
	return instructions() - start;
}

int main(int argc, char **argv)
{
	const char *what = argc > 2 ? argv[1] : "";
	unsigned long long taken;

	if (!strcmp(what, "write") && argc == 4)
		taken = measure_write(argv[2], argv[3]);
	else if (!strcmp(what, "stream") && argc == 4)
		taken = measure_stream(argv[2], argv[3]);
	else if (!strcmp(what, "lines") && argc == 4)
		taken = measure_lines(argv[2], argv[3]);
	else if (!strcmp(what, "read") && argc == 3)
		taken = measure_read(argv[2]);
	else if (!strcmp(what, "run"))
		taken = measure_run(argv + 2);
	else
		errx(1, "usage: bench-meter write|stream|lines|read|run ...");
	printf("%llu\n", taken);
	return 0;
}
