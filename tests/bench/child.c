/* The supervised program of the benchmark: it says when it began, then sleeps, or writes and says when it has written.
 *
 * argv[1] names a FIFO. The record (16 bytes, far below PIPE_BUF, so that it can't be torn) holds the
 * CLOCK_MONOTONIC time of the first line of main and the pid. The FIFO stays open until the process
 * ends: the reader sees the end of file when the last child has gone.
 *
 * argv[2] BYTES, argv[3] BLOCK, argv[4] NANOSECONDS: when argv[1].go, a FIFO, has a writer, that many bytes in lines of 100
 * go to standard output, BLOCK bytes a write and at most one each so many nanoseconds; then a second record is written. */
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LINE 100

struct record {
    uint64_t nanoseconds;
    uint32_t pid;
    uint32_t zero;
};

static int report(int fd) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    struct record record = {(uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec, (uint32_t)getpid(), 0};
    return write(fd, &record, sizeof record) == (ssize_t)sizeof record;
}

static int chatter(size_t bytes, size_t block, long pause) {
    char *lines = malloc(block + LINE);
    if (!lines)
        return 0;
    for (size_t i = 0; i < block + LINE; i++)
        lines[i] = i % LINE == LINE - 1 ? '\n' : (char)('a' + i % 26);
    struct timespec next;
    clock_gettime(CLOCK_MONOTONIC, &next);
    /* Many of them don't all write at the same moment. */
    if (pause > 0)
        next.tv_nsec += (long)((uint64_t)getpid() * 2654435761u % (uint64_t)pause);
    for (size_t done = 0; done < bytes;) {
        ssize_t wrote = write(STDOUT_FILENO, lines + done % LINE, bytes - done < block ? bytes - done : block);
        if (wrote <= 0)
            return 0;
        done += (size_t)wrote;
        if (pause > 0) {
            next.tv_nsec += pause;
            next.tv_sec += next.tv_nsec / 1000000000;
            next.tv_nsec %= 1000000000;
            clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
        }
    }
    free(lines);
    return 1;
}

int main(int argc, char **argv) {
    if (argc < 2)
        return 2;
    int fd = open(argv[1], O_WRONLY);
    if (fd < 0 || !report(fd))
        return 3;
    if (argc == 5) {
        char go[PATH_MAX];
        snprintf(go, sizeof go, "%s.go", argv[1]);
        if (open(go, O_RDONLY) < 0)
            return 4;
        if (!chatter(strtoull(argv[2], NULL, 10), strtoull(argv[3], NULL, 10), strtol(argv[4], NULL, 10)) || !report(fd))
            return 5;
    }
    for (;;)
        pause();
}
