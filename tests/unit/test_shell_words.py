"""Lines of sh, taken apart."""

import pytest
from l2wg_hooks.config import shell_words


def words(text):
    return [" ".join(command.words) for command in shell_words.commands(text)]


@pytest.mark.parametrize(
    "text, found",
    [
        ("logger x && ethtool -K $IFACE gro off", ["logger x", "ethtool -K $IFACE gro off"]),
        ("[ -x /sbin/ethtool ]&&/sbin/ethtool -s x||:", ["[ -x /sbin/ethtool ]", "/sbin/ethtool -s x", ":"]),
        ("for f in gro gso; do ethtool -K x $f off; done", ["for f in gro gso", "ethtool -K x $f off"]),
        ("if ! test -e /x; then ip a; else (ip r); fi &", ["test -e /x", "ip a", "ip r"]),
        ("LC_ALL=C timeout -k 1 5s sudo -n ip 'a b' \"c d\" e\\ f", ["ip a b c d e f"]),
        ("sh -c 'ip a; ip r'", ["sh -c ip a; ip r", "ip a", "ip r"]),
        ("wg setconf a <(wg-quick strip a)", ["wg setconf a <(wg-quick strip a)", "wg-quick strip a"]),
        ('echo "$(ip a)" `ip r` ${x:-a b}', ["echo $(ip a) `ip r` ${x:-a b}", "ip a", "ip r"]),
        ("command -v ethtool # ; reboot", ["command -v ethtool"]),
        ("", []),
        ("';", [";"]),
        ("$(", ["$("]),
    ],
)
def test_the_commands_of_a_line(text, found):
    assert words(text) == found


def test_what_is_written_and_read():
    (command,) = shell_words.commands("echo 4 2>/dev/null >/sys/x <in >>out")
    assert command == shell_words.Command(("echo", "4"), ("/dev/null", "/sys/x", "out"), ("in",)) and command.name == "echo"
    assert shell_words.commands(">/x")[0].targets == ("/x",) and shell_words.commands(">/x")[0].name == ""


def test_a_line_that_is_in_itself_for_ever_ends():
    assert shell_words.commands("$(" * 300) and shell_words.commands("sh -c " * 50 + "x") is not None
