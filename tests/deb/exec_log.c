/* For /etc/ld.so.preload of a box: every process that is started there writes down its words and its environment, before
 * its main() runs. So none is missed, however short it lives. */
#include <fcntl.h>
#include <unistd.h>

static void copy(const char *from, int to)
{
    char buffer[4096];
    ssize_t count;
    int fd = open(from, O_RDONLY);

    if (fd < 0)
        return;
    while ((count = read(fd, buffer, sizeof(buffer))) > 0)
        if (write(to, buffer, count) < 0)
            break;
    close(fd);
}

__attribute__((constructor)) static void started(void)
{
    int log = open("/tmp/started", O_WRONLY | O_APPEND | O_CREAT, 0666);

    if (log < 0)
        return;
    copy("/proc/self/cmdline", log);
    copy("/proc/self/environ", log);
    if (write(log, "\n", 1) < 0)
        _exit(99);
    close(log);
}
