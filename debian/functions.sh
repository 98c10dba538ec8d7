# shellcheck shell=sh
# What config, postinst and prerm have in common. debian/fill puts it into each of them, where it says so.

# Where the files are. judge.pl reads it, too.
root=
export root

# Is any of these there? A pattern that nothing matches stands for itself.
any() {
    for file in "$@"; do
        [ ! -e "$file" ] || return 0
    done
    return 1
}

# The text of file $1, if it is a regular one, up to its first MiB: a named pipe is not waited for, and nothing is endless.
contents() {
    [ ! -f "$1" ] || dd if="$1" bs=1M count=1 iflag=nonblock 2>/dev/null || :
}

is_attached() {
    contents "$root/etc/wireguard/$1.conf" | grep -Eiq '^[[:space:]]*PostUp[[:space:]]*=.*l2wg[[:space:]]+up'
}

# One that runs without a file counts, too.
has_wireguard() {
    any "$root"/etc/wireguard/*.conf || grep -qsx DEVTYPE=wireguard "$root"/sys/class/net/*/uevent ||
        [ -n "$(wg show interfaces 2>/dev/null)" ]
}

# No right answer is that long, and no command takes an argument of over 128 kB.
short() {
    if [ "${#1}" -gt 4096 ]; then
        echo "(${#1} characters)"
    else
        printf '%s\n' "$1"
    fi
}
