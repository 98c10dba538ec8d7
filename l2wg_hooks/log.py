"""One line in the journal for what was done or went wrong, beside what is printed for whoever looks on."""

import os
import sys

SOCKET = "/dev/log"


def say(message):
    """For the eyes of whoever started us."""
    print("[l2wg] " + message, file=sys.stderr, flush=True)


def journal(message, error=False):
    """For the journal (`journalctl -t l2wg`). Silent where no syslog socket is: early at boot, in a chroot."""
    if not os.path.exists(SOCKET):
        return
    import syslog

    syslog.openlog("l2wg", 0, syslog.LOG_DAEMON)
    # One message a line: some syslog daemons cut at the line's end.
    for line in message.splitlines():
        syslog.syslog(syslog.LOG_ERR if error else syslog.LOG_INFO, line)
    syslog.closelog()


def complain(problems):
    """Every problem, with its cure, on stderr and in the journal."""
    for problem in problems:
        print("l2wg: %s" % problem, file=sys.stderr, flush=True)
        journal(str(problem), error=True)
