"""A person at a terminal, for debconf's frontends: types keys, and reads the screen as a terminal would show it."""
import re
import time

import pexpect
import pyte

COLUMNS, LINES = 100, 40
KEYS = {"up": "\x1b[A", "down": "\x1b[B", "tab": "\t", "enter": "\r", "escape": "\x1b", "clear": "\x15"}


class Screen:
    def __init__(self, box, *command, frontend="readline", priority="high", env=None):
        settings = {"DEBIAN_FRONTEND": frontend, "DEBIAN_PRIORITY": priority, "TERM": "vt100", **(env or {})}
        argv = box.argv("setsid", "-c", "-w", *command, env=settings)
        self.child = pexpect.spawn(argv[0], argv[1:], dimensions=(LINES, COLUMNS), timeout=60, encoding="utf-8", codec_errors="replace")
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
        return re.sub(r"[^\S]+", " ", re.sub(r"[│┤├─┌┐└┘|]|\b[qx]{3,}\b", " ", " ".join(self.screen.display)))

    def wait(self, *words, seconds=60):
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
        self.wait(*words)
        time.sleep(0.3)
        self.blank()
        if type is not None:
            self.key("clear", type)
        return self.key("enter")

    def end(self, code=0):
        """The rest of what is printed, once the command has ended."""
        end = time.monotonic() + 120
        while self.read(0.5):
            if time.monotonic() > end:
                raise AssertionError(f"does not end\nscreen: {self.text()}\nall: {self.log[-3000:]}")
        self.child.close()
        assert self.child.exitstatus == code, self.log
        return self.log
