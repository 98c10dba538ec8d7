"""One line in the journal for what was done or went wrong, beside what is printed for whoever looks on."""

import os
import sys

SOCKET = "/dev/log"


def line(text):
    """Print a line for whoever started us. They may have gone: an ssh session that ends must not end our work."""
    try:
        print(text, file=sys.stderr, flush=True)
    except OSError:
        pass


def say(message):
    """Tell what is done, in wg-quick's manner."""
    line("[l2wg] " + message)


def journal(message, error=False):
    """For the journal (`journalctl -t l2wg`). Silent where no syslog socket is: early at boot, in a chroot."""
    if not os.path.exists(SOCKET):
        return
    import syslog

    syslog.openlog("l2wg", 0, syslog.LOG_DAEMON)
    # One message a line: some syslog daemons cut at the line's end. Odd bytes of a file's name are no UTF-8.
    for text in message.encode("utf-8", "backslashreplace").decode("utf-8").splitlines():
        syslog.syslog(syslog.LOG_ERR if error else syslog.LOG_INFO, text)
    syslog.closelog()


def complain(problems):
    """Every problem, with its cure, on stderr and in the journal."""
    for problem in problems:
        line("l2wg: %s" % problem)
        journal(str(problem), error=True)
