# IP addresses and networks as numbers, for what has to be known while a configuration is evaluated.
# They are read as l2wg_hooks/config/schema.py reads them; tests/nix compares the two.
let
  split = separator: text: builtins.filter builtins.isString (builtins.split separator text);
  repeat = count: value: builtins.genList (_: value) count;
  power = exponent: if exponent == 0 then 1 else 2 * power (exponent - 1);
  # A leading zero makes inet_aton(3) read octal.
  octal = text: builtins.match "0[0-9].*|.*\\.0[0-9].*" text != null;

  ipv4 =
    text:
    let
      byte = "([0-9]{1,3})";
      found = builtins.match "${byte}\\.${byte}\\.${byte}\\.${byte}" text;
      numbers = map builtins.fromJSON found;
    in
    if found == null || octal text || !builtins.all (number: number <= 255) numbers then
      null
    else
      { bits = 8; groups = numbers; };

  hex = word: if builtins.match "[0-9a-fA-F]{1,4}" word == null then null else (builtins.fromTOML "x = 0x${word}").x;
  words = text: if text == "" then [ ] else map hex (split ":" text);

  ipv6 =
    text:
    let
      mixed = builtins.match "(.*:)([0-9.]*\\.[0-9.]*)" text;
      last = ipv4 (builtins.elemAt mixed 1);
      byte = builtins.elemAt last.groups;
      tail = [ (byte 0 * 256 + byte 1) (byte 2 * 256 + byte 3) ];
      halves = split "::" (if mixed == null then text else "${builtins.head mixed}0:0");
      left = words (builtins.head halves);
      right = words (builtins.elemAt halves 1);
      missing = 8 - builtins.length (left ++ right);
      all = if builtins.length halves == 1 then left else left ++ repeat missing 0 ++ right;
      sized =
        if builtins.length halves == 1 then
          builtins.length left == 8
        else
          builtins.length halves == 2 && missing >= 1;
      numbers = if mixed == null then all else builtins.genList (builtins.elemAt all) 6 ++ tail;
    in
    if (mixed != null && last == null) || !sized || builtins.elem null all then
      null
    else
      { bits = 16; groups = numbers; };
in
rec {
  # { bits, groups } of an address, bits being those of one group; null if it is none.
  address = text: if builtins.match ".*:.*" text == null then ipv4 text else ipv6 text;

  family = one: if one.bits == 8 then 4 else 6;
  width = one: one.bits * builtins.length one.groups;

  # { address, length } of an address with or without a prefix length; null if it is none.
  network =
    text:
    let
      found = builtins.match "([^/]+)(/0*([0-9]{1,3}))?" text;
      one = address (builtins.head found);
      digits = builtins.elemAt found 2;
      length = if digits == null then width one else builtins.fromJSON digits;
    in
    if found == null || one == null || length > width one then null else { address = one; inherit length; };

  # Whether a network has this address in it.
  covers =
    net: one:
    let
      same =
        index:
        let
          left = net.length - index * one.bits;
          kept = if left < 0 then 0 else if left > one.bits then one.bits else left;
          step = power (one.bits - kept);
          high = side: builtins.elemAt side.groups index / step;
        in
        high net.address == high one;
    in
    net.address.bits == one.bits && builtins.all same (builtins.genList (index: index) (builtins.length one.groups));

  # The address whose bits behind the prefix are all 0, or all 1 (`last`).
  edge =
    last: net:
    let
      cut =
        index:
        let
          left = net.length - index * net.address.bits;
          kept = if left < 0 then 0 else if left > net.address.bits then net.address.bits else left;
          step = power (net.address.bits - kept);
        in
        builtins.elemAt net.address.groups index / step * step + (if last then step - 1 else 0);
    in
    net.address // { groups = builtins.genList cut (builtins.length net.address.groups); };

  # Whether one of these networks has the address in it.
  among = nets: one: builtins.any (text: covers (network text) one) nets;
}
