"""A person at a terminal, for debconf's frontends: types keys, and reads the screen as a terminal would show it."""

import re
import time

import pexpect
import pyte

COLUMNS, LINES = 100, 40
KEYS = {"tab": "\t", "enter": "\r", "escape": "\x1b", "clear": "\x05" + "\x08" * 60}
# What takes a person to the question before; teletype and a readline without libterm-readline-gnu-perl have no such thing.
BACK = {"dialog": ("escape",), "readline": ("\x1b[5~",)}


class Screen:
    def __init__(self, box, *command, frontend="readline", priority="high", env=None):
        settings = {"DEBIAN_FRONTEND": frontend, "DEBIAN_PRIORITY": priority, "TERM": "vt100", **(env or {})}
        argv = box.argv(*command, env=settings)
        self.child = pexpect.spawn(argv[0], argv[1:], dimensions=(LINES, COLUMNS), timeout=60, encoding="utf-8", codec_errors="replace")
        self.frontend = frontend
        # Whether today's value stands in the line already.
        self.fills_in = frontend == "dialog" or (frontend == "readline" and "PERL_RL" not in settings)
        self.log = ""
        self.blank()

    def blank(self):
        self.screen = pyte.Screen(COLUMNS, LINES)
        self.stream = pyte.Stream(self.screen)

    def read(self, seconds):
        """Take in what comes within so many seconds; False at the end."""
        try:
            text = self.child.read_nonblocking(65536, seconds)
        except pexpect.TIMEOUT:
            return True
        except pexpect.EOF:
            return False
        self.log += text
        self.stream.feed(text)
        return True

    def text(self):
        """The screen in one line of words: frames and line breaks do not matter."""
        return re.sub(r"[^\S]+", " ", re.sub(r"[│┤├─┌┐└┘]", " ", " ".join(self.screen.display)))

    def wait(self, *words, seconds=30):
        """Until the screen shows all the words."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            alive = self.read(0.2)
            if all(word in self.text() for word in words):
                return self
            if not alive:
                break
        raise AssertionError(f"never shown: {words}\nscreen: {self.text()}\nall: {self.log[-3000:]}")

    def key(self, *names):
        for name in names:
            self.child.send(KEYS.get(name, name))
        return self

    def answer(self, *words, type=None):
        """Wait for a question, then give an answer: a text in place of what stands there, or what stands there."""
        self.asked(*words)
        if type is not None:
            self.key(*(("clear",) if self.fills_in else ()), type)
        return self.key("enter")

    def back(self, *words):
        """Wait for a question, then go to the one before it."""
        return self.asked(*words).key(*BACK[self.frontend])

    def asked(self, *words):
        """Wait for a question, until it is ready to be answered."""
        self.wait(*words)
        for _ in range(20):
            before = self.text()
            self.read(0.2)
            if self.text() == before:
                break
        self.seen = before
        self.blank()
        return self

    def end(self, code=0):
        """The rest of what is printed, once the command has ended."""
        end = time.monotonic() + 120
        while self.read(0.5):
            if time.monotonic() > end:
                raise AssertionError(f"does not end\nscreen: {self.text()}\nall: {self.log[-3000:]}")
        self.child.close()
        assert self.child.exitstatus == code, self.log
        return self.log
