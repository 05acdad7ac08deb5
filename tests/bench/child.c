/* The supervised program of the benchmark: it says when it began, then sleeps.
 *
 * argv[1] names a FIFO. The record (16 bytes, far below PIPE_BUF, so that it can't be torn) holds the
 * CLOCK_MONOTONIC time of the first line of main and the pid. The FIFO stays open until the process
 * ends: the reader sees the end of file when the last child has gone. */
#include <fcntl.h>
#include <stdint.h>
#include <time.h>
#include <unistd.h>

struct record {
    uint64_t nanoseconds;
    uint32_t pid;
    uint32_t zero;
};

int main(int argc, char **argv) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    struct record record = {(uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec, (uint32_t)getpid(), 0};
    if (argc < 2)
        return 2;
    int fd = open(argv[1], O_WRONLY);
    if (fd < 0 || write(fd, &record, sizeof record) != (ssize_t)sizeof record)
        return 3;
    for (;;)
        pause();
}
