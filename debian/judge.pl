# What an answer may be, what is there, and what to guess. Values, files and the kernel's words are hostile until they are read here.
# By perl-base alone, which is Essential: debconf asks before anything else is unpacked. "perl - SUB WORD..." prints what SUB returns, a
# line each, without what a terminal would obey; of is_SUB and carries_SUB it is the exit status.
use strict;
use warnings;
use feature 'signatures';
no warnings 'experimental::signatures';
use Fcntl;
use File::Glob 'bsd_glob';
use Socket qw(AF_INET AF_INET6 inet_ntop inet_pton);

# What was answered so far, and where the files are.
my ($root, $tunnel, $underlay, $here, $bridge) = map { $_ // '' } @ENV{qw(root tunnel underlay here bridge)};
# Of the file that is being read; else of none.
my ($encapsulation, $control);

# debian/fill puts in what l2wg_hooks has.
my %kernels = map { $_ => 1 } qw(@KERNEL_NAMES@);
my %keys = map { $_ => 1 } qw(@KEYS@);
my %required = map { $_ => 1 } qw(@REQUIRED@);
my @asked = qw(@ASKED@);
my @users = qw(@USERS@);
my @supplicants = qw(@SUPPLICANTS@);
my $mark = q{@MARK@};

# Values. tests/shell feeds l2wg_hooks/config/schema.py the same.

sub is_name ($name) {
    return $name =~ /^[A-Za-z0-9_.-]+\z/ && length $name < 16 && $name !~ /^(?:\.\.?|all|default)\z/;
}

# The address, the first and the last of its network, packed, and the number of bits in which these differ. Nothing where it is none.
sub network ($text) {
    my ($address, $prefix) = $text =~ m{^([0-9A-Fa-f:.]+)(?:/(0|[1-9][0-9]?[0-9]?))?\z} or return;
    my $packed = inet_pton($address =~ /:/ ? AF_INET6 : AF_INET, $address) // return;
    my $bits = 8 * length $packed;
    $prefix //= $bits;
    return if $prefix > $bits;
    my $mask = pack 'B*', 1 x $prefix . 0 x ($bits - $prefix);
    return ($packed, $packed & $mask, $packed | ~$mask, $bits - $prefix);
}

# An end of the tunnel: not unspecified, loopback, link-local, multicast or reserved.
sub is_end ($text) {
    my ($ip) = $text =~ m{/} ? () : network($text);
    return defined $ip && $ip !~ (length $ip == 4 ? qr/^(?:\0{4}|\x7f|\xa9\xfe|[\xe0-\xff])/ : qr/^(?:\0{15}[\0\1]|\xfe[\x80-\xbf]|\xff)/);
}

# ADDRESS/PREFIX of one host. What IPv6 can still get wrong here (the network's own address) is found by "l2wg set".
sub is_bridge_address ($text) {
    my ($ip, $first, $last, $bits) = $text =~ m{/} ? network($text) : ();
    return if !defined $ip || $ip =~ (length $ip == 4 ? qr/^(?:\0{4}|\x7f|[\xe0-\xef])/ : qr/^(?:\0{15}[\0\1]|\xff)/);
    return length $ip == 16 || $bits < 2 || ($ip ne $first && $ip ne $last);
}

# Of the tunnel's file, if there is one; "" where nobody has said.
sub written ($key) {
    return is_name($tunnel) ? (map { /^\s*$key\s*=\s*(\S+)\s*$/ ? $1 : () } lines("$root/etc/l2wg/$tunnel.conf"))[0] // '' : '';
}

# Where all far ends are, with control = evpn: some of its bits are fixed, not all, and there is nothing behind them.
sub is_prefix ($text) {
    my ($ip, $first, $last, $bits) = $text =~ m{/} ? network($text) : ();
    return defined $ip && $ip eq $first && $bits > 0 && $bits < 8 * length $ip && is_end($text =~ s{/.*}{}r) && is_end(inet_ntop(length $ip == 4 ? AF_INET : AF_INET6, $last));
}

sub ports ($list) {
    return grep { length } split /[ \t,]+/, $list;
}

# cksum(1): POSIX has it.
sub checksum ($text) {
    my $sum = 0;
    for my $byte (unpack 'C*', $text . pack('V', length $text) =~ s/\0+\z//r) {
        $sum ^= $byte << 24;
        $sum = ($sum << 1 ^ ($sum & 0x80000000 ? 0x04c11db7 : 0)) & 0xffffffff for 1 .. 8;
    }
    return sprintf '%08X', ~$sum & 0xffffffff;
}

# Why that is no answer: the template that says so, and behind a space what to name in it. Nothing where it is one.
sub refusal ($question, $value) {
    $value = '(' . length($value) . ' characters)' if length $value > 4096;
    if ($question eq 'card' || $question eq 'invitation') {
        # As far as a card, or an invitation in its place, can be looked at: is it whole? "l2wg pair" or "l2wg join" reads it
        # (l2wg_hooks/config/card.py, invitation.py).
        my $line = uc $value =~ s/[\s<>]//gr;
        my $is_card = $question eq 'card' && $line !~ /^L2WGJ/;
        my $form = $is_card ? qr/L2WG1:[A-Z2-7]+/ : qr/L2WGJ1:[A-Z2-7]+:[A-Z2-7]+/;
        return if $line eq '' || ($line =~ /^($form):([0-9A-F]{8})\z/ && checksum($1) eq $2);
        return $is_card ? 'l2wg/invalid-card ' : 'l2wg/invalid-invitation ';
    }
    if ($question =~ /^(?:tunnel|underlay|bridge)\z/) {
        my @others = $question eq 'tunnel' ? () : $question eq 'underlay' ? ($tunnel) : ($tunnel, $underlay);
        return "l2wg/invalid-name $value" if !is_name($value);
        return "l2wg/invalid-tunnel $value" if $question eq 'tunnel' && $kernels{$value};
        return (grep { $_ eq $value } @others) ? "l2wg/invalid-twice $value" : ();
    }
    if ($question eq 'local') {
        return $value eq '' || is_end($value) ? () : "l2wg/invalid-address $value";
    }
    if ($question eq 'remote') {
        # Of a VXLAN it may be a list, or a prefix; what such a tunnel is, is in its file only.
        my $fills = $control // written('control');
        if ($fills eq 'evpn') {
            return is_prefix($value) && ($here eq '' || !($here =~ /:/ xor $value =~ /:/)) ? () : "l2wg/invalid-address $value";
        }
        my @ends = ($encapsulation // written('encapsulation')) eq 'vxlan' ? ports($value) : $value;
        my ($own, %seen) = (network($here))[0] // '';
        return "l2wg/invalid-address $value" if !@ends || @ends > 100;
        for my $end (@ends) {
            return "l2wg/invalid-address $value" if !is_end($end) || ($here ne '' && ($here =~ /:/ xor $end =~ /:/));
            my $packed = (network($end))[0];
            return "l2wg/invalid-remote $value" if $packed eq $own;
            return "l2wg/invalid-address $value" if $seen{$packed}++;
        }
        return;
    }
    if ($question eq 'bridge-address') {
        return $value eq '' || is_bridge_address($value) ? () : "l2wg/invalid-bridge-address $value";
    }
    # The ports, as such; of bridge-ports, which are asked for, those that are there.
    my %used = map { $_ => 1 } $tunnel, $underlay, $bridge;
    for my $port (ports($value)) {
        return "l2wg/invalid-ports $value" if !is_name($port) || $port eq 'lo';
        return "l2wg/invalid-twice $port" if $used{$port}++;
    }
    for my $port ($question eq 'bridge-ports' ? ports($value) : ()) {
        return "l2wg/invalid-port-missing $port" if !is_there($port);
        return "l2wg/invalid-port-address $port" if carries_address($port) && !can_move($port);
    }
    return;
}

# Files and programs.

# The text of a regular file, up to its first MiB: a named pipe is not waited for, and nothing is endless.
sub contents ($path) {
    my $text = '';
    if (-f $path && sysopen(my $file, $path, O_RDONLY | O_NONBLOCK)) {
        1 while -f $file && length $text < 1 << 20 && sysread $file, $text, 1 << 16, length $text;
    }
    return $text;
}

# Its lines, comments taken out.
sub lines ($path) {
    return map { s/#.*//r } split /\n/, contents($path);
}

# The files of a pattern.
sub files ($pattern) {
    return bsd_glob("$root/$pattern", 0);
}

# NAME of each NAME.conf.
sub names ($pattern) {
    return map { m{([^/]*)\.conf\z}s ? $1 : () } grep { -e } files($pattern);
}

# What the kernel says of an interface, by files and by their names; of '', the interfaces.

sub attribute ($path) {
    return contents("$root/sys/class/net/$path") =~ s/\s+\z//r;
}

sub entries ($path) {
    opendir(my $folder, "$root/sys/class/net/$path") or return;
    return sort grep { !/^\.\.?\z/ } readdir $folder;
}

# What a command prints, up to its first MiB; undef where there is no such command.
sub output {
    my $pid = open(my $pipe, '-|') // return;
    if (!$pid) {
        open STDERR, '>', '/dev/null';
        exec { $_[0] } @_ or exit 127;
    }
    read $pipe, my $text, 1 << 20;
    close $pipe;
    return $? >> 8 == 127 ? undef : $text // '';
}

# interfaces(5) with all that is beside it or sourced, but the file of that name. What those source in their turn is not followed.
sub interfaces ($but = undef) {
    my @patterns = ('interfaces', 'interfaces.d/*');
    for (lines("$root/etc/network/interfaces")) {
        push @patterns, "$1/*" if /^\s*source-dir[a-z]*\s*(\S+)\s*$/;
        push @patterns, split ' ', $1 if /^\s*source\s(.*)/;
    }
    my @files = map { m{^/} ? bsd_glob($_, 0) : files("etc/network/$_") } @patterns;
    # One that is named again by any path is read once.
    my %seen;
    return map { lines($_) } grep { -f && !$seen{join ' ', (stat _)[0, 1]}++ && !(defined $but && m{/\Q$but\E\z}) } @files;
}

# Its stanzas of that interface, "iface" lines, the rest of which matches.
sub stanzas ($name, $rest, $but = undef) {
    return grep { /^\s*iface\s+\Q$name\E$rest/ } interfaces($but);
}

sub is_defined ($name) {
    return is_name($name) && stanzas($name, qr/(?:\s|$)/) > 0;
}

# Is there such an interface, or will there be? Where the kernel shows none at all, an image is being built. What is no name is
# refused for that.
sub is_there ($name) {
    return !is_name($name) || -e "$root/sys/class/net/$name" || !-e "$root/sys/class/net/lo" || is_defined($name);
}

# Does the port carry an address now, or will it when interfaces(5) is followed?
sub carries_address ($port) {
    # A wrong answer that was preseeded may be anything, and an option of ip.
    return if !is_name($port);
    return 1 if (output('ip', '-o', 'addr', 'show', 'dev', $port) // '') =~ /inet |inet6 .* scope global/;
    return (grep { !/\s(?:manual|loopback)(?:\s|$)/ } stanzas($port, qr/\s+inet6?\s/)) > 0;
}

# The first of the ports that does, if they are right as such.
sub port_with_address ($list) {
    return refusal('ports', $list) ? () : (grep { carries_address($_) } ports($list))[0] // ();
}

# Can "l2wg apply" move the port's address to the bridge? What it cannot after all, it says itself, and changes nothing.
sub can_move ($port) {
    return is_name($bridge) && !stanzas($bridge, qr/(?:\s|$)/, 'l2wg') && stanzas($port, qr/\s+inet6?\s+static(?:\s|$)/);
}

# The values of the file of a tunnel, "key=value" each. Where something is wrong, the template, the line and what it says.
sub file ($path) {
    my (%values, %lines, $number);
    # A regular file, by a link perhaps, and LARGEST in l2wg_hooks/config/store.py.
    return 'l2wg/invalid-kind 0 ' if !-f $path || -s _ > 65536;
    for (lines($path)) {
        $number++;
        my ($key, $value) = map { /(\S(?:.*\S)?)/ ? $1 : '' } split /=/, $_, 2;
        next if !/\S/;
        return "l2wg/invalid-file $number $key" if !defined $value;
        return "l2wg/invalid-file $number $key=$value" if !$keys{$key} || exists $values{$key} || ($value eq '' && $required{$key});
        ($values{$key}, $lines{$key}) = ($value, $number);
    }
    for (@asked) {
        return "l2wg/invalid-file 0 $_ = ?" if $required{$_} && !exists $values{$_};
    }
    ($underlay, $here, $bridge, $values{tunnel}) = (@values{'underlay', 'local', 'bridge'}, $tunnel);
    ($encapsulation, $control) = map { $values{$_} // '' } 'encapsulation', 'control';
    for ('tunnel', @asked) {
        my ($why) = refusal($_ eq 'bridge-ports' ? 'ports' : $_, $values{$_} // '');
        return $why =~ s{^\S+}{'l2wg/invalid-file ' . ($lines{$_} // 0)}er if $why;
    }
    return "l2wg/invalid-file $lines{'bridge-address'} bridge-address" if $values{'bridge-address'} && !$values{'bridge-ports'};
    return map { "$_=$values{$_}" } grep { exists $values{$_} } @asked;
}

# WireGuard.

# The values of a key in a WireGuard configuration; commas separate.
sub wireguard_values ($name, $key) {
    return if !is_name($name);
    return map { /^\s*\Q$key\E\s*=(.*)/i ? grep { length } split /,/, $1 =~ s/\s//gr : () } lines("$root/etc/wireguard/$name.conf");
}

# Is it a file that may have PostUp lines? Where wg(8) reads it, it may not, and there is nothing to be asked: "l2wg attach" looks
# closer (l2wg_hooks/config/wg_quick_readers.py) and says what there is to say.
sub is_for_wg_quick ($name) {
    my $path = "$root/etc/wireguard/$name.conf";
    return 1 if !-r $path;
    return if is_own($name);
    return if reads_with_wg($name);
    return 1 if grep { m{/wg-quick@\Q$name\E\.service\z} } files('etc/systemd/system/*/wg-quick@*.service');
    # What is in [Interface], without our own two lines.
    return (
        grep { /^\s*(?:address|(?:post|pre)(?:up|down)|dns|mtu|table|saveconfig)\s*=/i && !m{=\s*(?:\S*/)?l2wg\s+(?:up|down)\s}i }
        grep { /^\s*\[int/i .. /^\s*\[p/i } lines($path)
    ) > 0;
}

# Does l2wg make this interface, in a network namespace of its own (is_walled in l2wg_hooks/pairing/local_facts.py)? The tunnels over it
# say so, or what "l2wg init" has written into its file.
sub is_own ($name) {
    return if !is_name($name);
    my @wires;
    for (files('etc/l2wg/*.conf')) {
        my %values = map { /^\s*(underlay|wire)\s*=\s*(.*?)\s*$/ ? ($1, $2) : () } lines($_);
        push @wires, $values{wire} // 'shared' if ($values{underlay} // '') eq $name;
    }
    return (grep { $_ eq 'own' } @wires) > 0 if @wires;
    return (grep { $_ eq $mark } split /\n/, contents("$root/etc/wireguard/$name.conf")) > 0;
}

# Does interfaces(5) have wg(8) itself read the file?
sub reads_with_wg ($name) {
    my $stanza = '';
    for (interfaces()) {
        my ($word, $value) = (split(' ', $_, 2), '', '');
        $stanza = $1 if $word eq 'iface' && $value =~ /^(\S+)/;
        next if $word eq 'use' && $stanza eq $name && $value =~ /wireguard-quick/;
        return 1 if $stanza eq $name && ($word eq 'use' ? $value =~ /wireguard/ : $word =~ /^wireguard.config.path\z/);
        next if $value !~ /wg (?:set|add|sync)conf /;
        return 1 if $value =~ m{/wireguard/\Q$name\E\.conf} || ($stanza eq $name && $value =~ m{/wireguard/.*IFACE.*\.conf});
    }
    return;
}

# Guesses: of an end of the tunnel. Both are in the LANs, or both are addresses of WireGuard: one of each would be on a way that no
# AllowedIPs cover.

sub guess_tunnel {
    return (grep { is_name($_) } names('etc/l2wg/*.conf'))[0] // ();
}

sub guess_underlay {
    my @found = names('etc/wireguard/*.conf');
    # Of several, the one for tunnels alone.
    @found = grep { is_own($_) } @found if @found > 1;
    return @found == 1 && is_name($found[0]) ? $found[0] : 'wg0';
}

# The IPv4 networks among those values, as network() has them.
sub networks {
    return grep { @$_ && length $_->[0] == 4 } map { [network($_)] } @_;
}

# Those of the WireGuard interface itself: of its file, else those that it has.
sub own_networks ($name) {
    my @found = wireguard_values($name, 'Address');
    @found = (output('ip', '-o', '-4', 'addr', 'show', 'dev', $name) // '') =~ m{ inet ([0-9./]*)}g if !@found && is_name($name);
    return networks(@found);
}

# The first host of the first network behind the peer; the networks of WireGuard's own addresses are only the way to it.
sub lan_remote ($name) {
    my @owns = own_networks($name);
    for (networks(wireguard_values($name, 'AllowedIPs'))) {
        my (undef, $first, undef, $bits) = @$_;
        next if $first eq "\0\0\0\0";
        my $host = $bits < 2 ? $first : pack 'N', 1 + unpack 'N', $first;
        # A single address is that of a peer's WireGuard, as "l2wg pair" writes it, unless ours has a network, and it is not in it.
        next if $bits == 0 && !grep { $_->[3] > 0 } @owns;
        next if grep { $host ge $_->[1] && $host le $_->[2] } @owns;
        return inet_ntop(AF_INET, $host);
    }
    return;
}

# The first address of a peer inside WireGuard.
sub wireguard_remote ($name) {
    my %own = map { $_->[0] => 1 } own_networks($name);
    my @found = grep { $_->[3] == 0 && !$own{$_->[0]} } networks(wireguard_values($name, 'AllowedIPs'));
    return @found ? inet_ntop(AF_INET, $found[0][0]) : ();
}

# It follows the answer for this router's end, $here.
sub guess_remote ($name) {
    my ($end) = network($here);
    return wireguard_remote($name) if grep { $_->[0] eq ($end // '') } own_networks($name);
    return lan_remote($name);
}

# With a LAN behind the peer the first address of this router that is neither WireGuard's nor on the way to the internet, nor of
# a bridge of guests; else WireGuard's own.
sub guess_local ($name) {
    my @owns = map { inet_ntop(AF_INET, $_->[0]) } own_networks($name);
    return (grep { is_end($_) } @owns)[0] // () if @owns && (is_own($name) || !defined lan_remote($name));
    my %not = map { $_ => 1 } 'lo', $name, names('etc/wireguard/*.conf'), grep { kind($_) eq 'wireguard' } entries('');
    my @addresses = static_addresses();
    if (defined(my $routes = output('ip', '-4', 'route', 'show', 'default'))) {
        $not{$_} = 1 for $routes =~ / dev (\S+)/g;
        @addresses = map { [/^\d+: (\S+) *inet ([0-9.]+)/] } split /\n/, output('ip', '-o', '-4', 'addr', 'show', 'scope', 'global') // '';
    }
    return (map { $_->[1] } grep { @$_ && !$not{$_->[0]} && is_end($_->[1]) && !is_for_guests($_->[0]) } @addresses)[0] // ();
}

# [name, address] of each static stanza of interfaces(5) that has no gateway.
sub static_addresses {
    my (@found, $name, $address);
    for (interfaces(), 'auto') {
        my ($word, $value, $rest) = (split(' ', $_, 3), '', '', '');
        if ($word =~ /^(?:iface|auto|allow-.*|source.*|mapping|no-.*)\z/) {
            push @found, [$name, $address] if defined $name && defined $address;
            ($name, $address) = $word eq 'iface' && $rest =~ /^inet\s+static/ ? $value : ();
        }
        $address = $value =~ s{/.*}{}r if $word eq 'address';
        $name = undef if $word eq 'gateway';
    }
    return @found;
}

# Ethernet ports that nobody uses. The same rules in Python: l2wg_hooks/pairing/ports.py; tests/ports.py has the cases of both.

sub guess_bridge_ports ($name) {
    return if -e "$root/sys/class/net/$name" || is_defined($name);
    return join ' ', grep { is_hardware($_) && is_idle($_) } entries('');
}

# The Ethernet ports of this router, for who has named another one.
sub all_ports {
    return join '', map { " $_" } grep { is_hardware($_) } entries('');
}

# Something to plug into, no radio and no modem.
sub is_hardware ($port) {
    my $device = "$root/sys/class/net/$port";
    return if !is_name($port) || !-e "$device/device" || attribute("$port/type") ne '1';
    return !-e "$device/wireless" && !-e "$device/phy80211" && kind($port) !~ /^w[lw]an\z/;
}

sub kind ($name) {
    return attribute("$name/uevent") =~ /^DEVTYPE=(.*)/m ? $1 : '';
}

# A port in use need not have an address: PPPoE, 802.1X, VLANs, macvlan, MACsec and bonds leave it without one.
sub is_idle ($port) {
    return !(grep { /^(?:master\z|upper_)/ } entries($port)) && !carries_address($port) && !carries_packets($port) && !is_named($port);
}

# What the kernel knows of a use of the port.
sub carries_packets ($port) {
    # Routes that an interface has by being up say nothing.
    for my $family ('-4', '-6') {
        my $routes = output('ip', $family, 'route', 'show', 'table', 'all', 'dev', $port) // '';
        return 1 if grep { /\S/ && !/^(?:(?:local|broadcast|multicast|anycast) |fe80:|ff00:)/ } split /\n/, $routes;
    }
    return 1 if grep { /^\S+\s+\S+\s+\Q$port\E\s*$/ } split /\n/, contents("$root/proc/net/pppoe");
    # Sockets bound to this interface. Protocol 3 is for who listens to everything, 88cc for LLDP: both say nothing of a use.
    my $index = attribute("$port/ifindex");
    for (split /\n/, contents("$root/proc/net/packet")) {
        my ($protocol, $bound) = (split ' ')[3, 4];
        return 1 if $index ne '' && ($bound // '') eq $index && $protocol !~ /^(?:0003|88cc)\z/i;
    }
    # A second unicast address is that of a macvlan or an ipvlan; of one in another network namespace nothing else is seen here.
    my $own = attribute("$port/address");
    my @selves = grep { / self/ && !/^\Q$own\E / } split /\n/, output('bridge', 'fdb', 'show', 'dev', $port) // '';
    return (grep { /^[0-9a-f][02468ace]:/ } @selves) > 0;
}

# Does a file of whoever may use the port, and need not be running now, name it?
sub is_named ($port) {
    my $named = qr/(?:^|[^A-Za-z0-9_.-]|nic-|-[a-z])\Q$port\E(?:$|[^A-Za-z0-9_-])/;
    return 1 if grep { /$named/ } interfaces();
    for (map { files($_) } @users) {
        my @lines = lines($_);
        return 1 if (grep { /$named/ } @lines) && !grep { /^\s*Unmanaged\s*=\s*(?:yes|true|on|1)\s*$/i } @lines;
    }
    # 802.1X goes by the file's name.
    return (map { files(s/%s/$port/r) } @supplicants) > 0;
}

# Is there hardware behind the interface, or a bond, by VLANs and bridges perhaps; not veth, tap or a tunnel?
sub is_leading_out ($name) {
    my $kind = kind($name);
    return 1 if -e "$root/sys/class/net/$name/device" || $kind =~ /^(?:bond|team)\z/;
    # The card below carries its packets, not its frames.
    return if $kind eq 'vxlan';
    my @lower = map { /^lower_(.*)/s ? $1 : () } entries($name);
    # A VLAN's card may be in another network namespace.
    return @lower ? (grep { is_leading_out($_) } @lower) > 0 : $kind eq 'vlan';
}

# Is it a bridge that some program has made for its own guests? No LAN is behind it, and no stanza defines it.
sub is_for_guests ($name) {
    return -d "$root/sys/class/net/$name/bridge" && !is_defined($name) && !is_leading_out($name);
}

my ($word, @words) = @ARGV;
my @said = main->can($word =~ tr/-/_/r)->(@words);
exit !$said[0] if $word =~ /^(?:is|carries)_/;
print tr/\0-\037\177/ /r, "\n" for @said;
