# What the file of sites comes to as far as the configuration needs it, and what is wrong in it as far as plain Nix can tell:
# l2wg's own check, with all of its rules, runs when the file is built. Its words are those of l2wg_hooks/config/site_lines.py and
# card.py; tests/nix compares them.
{ lib, text }:
let
  split = separator: words: builtins.filter builtins.isString (builtins.split separator words);
  filled = builtins.filter (word: word != "");
  letters = word: builtins.genList (index: builtins.substring index 1 word) (builtins.stringLength word);
  # {letter: its place} of letters in their order.
  places = word: builtins.listToAttrs (lib.imap0 (index: letter: lib.nameValuePair letter index) (letters word));

  # Base32 (RFC 4648): of eight letters, five bytes. What is left over of less, a card's length says.
  values = places "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
  bytes =
    body:
    let
      at = index: values.${builtins.substring index 1 body} or 0;
      five =
        from:
        let
          a = at (from + 1);
          b = at (from + 3);
          c = at (from + 4);
          d = at (from + 6);
        in
        [
          (at from * 8 + a / 4)
          (low a 4 * 64 + at (from + 2) * 2 + b / 16)
          (low b 16 * 16 + c / 2)
          (low c 2 * 128 + at (from + 5) * 4 + d / 8)
          (low d 8 * 32 + at (from + 7))
        ];
    in
    lib.take (builtins.stringLength body * 5 / 8) (
      builtins.concatLists (builtins.genList (index: five (index * 8)) ((builtins.stringLength body + 7) / 8))
    );
  low = number: step: number - number / step * step;

  # Only a card's beginning is looked at: 1, the length of the name, and the name, of letters that a site's name can have.
  ascii = " !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~";
  code = lib.mapAttrs (_: place: place + 32) (places ascii);
  letter = number: if number < 32 || number > 126 then "?" else builtins.substring (number - 32) 1 ascii;
  name =
    body:
    let
      head = bytes (builtins.substring 0 56 body);
      length = builtins.elemAt head 1;
      found = lib.concatStrings (map letter (builtins.genList (index: builtins.elemAt head (index + 2)) length));
    in
    if
      builtins.length head == 35
      && builtins.head head == 1
      && length <= 32
      && builtins.match "[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?" found != null
    then
      found
    else
      null;

  # CRC-32, as zlib has it: site_names.py tells long names apart by it.
  halve = number: if low number 2 == 1 then builtins.bitXor (number / 2) 3988292384 else number / 2;
  table = builtins.genList (byte: halve (halve (halve (halve (halve (halve (halve (halve byte)))))))) 256;
  step = crc: one: builtins.bitXor (crc / 256) (builtins.elemAt table (builtins.bitAnd (builtins.bitXor crc one) 255));
  crc32 = word: builtins.bitXor 4294967295 (builtins.foldl' step 4294967295 (map (one: code.${one}) (letters word)));
  hex = number: count: lib.concatStrings (
    builtins.genList (
      index:
      let
        digit = low (number / power (count - 1 - index)) 16;
      in
      builtins.substring digit 1 "0123456789abcdef"
    ) count
  );
  power = exponent: if exponent == 0 then 1 else 16 * power (exponent - 1);
  interface =
    site:
    if builtins.stringLength site <= 15 then
      site
    else
      "${builtins.substring 0 8 site}-${hex (builtins.bitAnd (crc32 site) 16777215) 6}";

  rows = split "\r?\n" text;
  numbered = lib.imap1 (number: row: {
    inherit number;
    words = filled (split "[ \t\r]+" (builtins.head (split "#" row)));
  }) rows;
  lines = map (
    { number, words }:
    let
      found = builtins.match ".*[Ll]2[Ww][Gg]1:([A-Za-z2-7]+):.*" (builtins.head words);
      body = if found == null then null else lib.toUpper (builtins.head found);
      values = builtins.tail words;
    in
    {
      inherit number values;
      isNet = builtins.head words == "net";
      isCard = builtins.match ".*[Ll]2[Ww][Gg][0-9]+:.*" (builtins.head words) != null;
      name = if body == null then null else name body;
      said = builtins.listToAttrs (map (word: lib.nameValuePair (key word) (value word)) values);
    }
  ) (builtins.filter ({ words, ... }: words != [ ]) numbered);
  nets = builtins.filter (line: line.isNet) lines;
  cards = builtins.filter (line: line.isCard) lines;
  key = word: builtins.head (split "=" word);
  value = word: lib.removePrefix "${key word}=" word;
  net = (builtins.head (nets ++ [ { said = { }; } ])).said;
  # The values of a key in the lines of sites.
  said = key: lib.concatMap (line: lib.optional (line.said ? ${key}) line.said.${key}) living;

  refuse = number: wrong: message: cure: {
    assertion = !wrong;
    message = "services.l2wg.sites:${lib.optionalString (number != 0) "${toString number}:"} ${message}\n  cure: ${cure}";
  };
  known = line: if line.isNet then ofNet else ofSite;
  ofNet = [ "shape" "hub" "network" "hub-address" "hubs-joined" "bridge" "encapsulation" "control" "mtu" "vlans" "dhcp" "storm-limit" "isolated" "mss-clamp" "key" ];
  ofSite = [
    "address"
    "gone"
    "was"
    "bridge"
    "bridge-ports"
    "bridge-address"
    "mtu"
    "vlans"
    "dhcp"
    "storm-limit"
    "isolated"
    "mss-clamp"
    "key"
  ];
  ofWord =
    line: word:
    let
      at = refuse line.number;
    in
    [
      (at (builtins.match "[^=]+=.+" word == null) "${word} is not KEY=VALUE" "write KEY=VALUE, without a blank in it")
      (at (builtins.match "[^=]+=.+" word != null && !builtins.elem (key word) (known line))
        "${key word} cannot stand here"
        "one of: ${builtins.concatStringsSep ", " (known line)}"
      )
    ];
  ofLine =
    line:
    lib.optional (!line.isNet && !line.isCard) (
      refuse line.number true "this line is neither that of the net nor one of a site" "begin it with the card that `l2wg card` prints there"
    )
    ++ lib.optionals (line.isNet || line.isCard) (lib.concatMap (ofWord line) line.values);
  living = builtins.filter (line: line.isCard && !(line.said ? gone)) lines;
  named = builtins.filter (line: line.name != null) living;
  # {name: its first line}
  firsts = builtins.listToAttrs (map (line: lib.nameValuePair line.name line) named);
  twice = builtins.filter (line: firsts.${line.name}.number != line.number) named;
  ofTwice =
    line:
    refuse line.number true "line ${toString firsts.${line.name}.number} has the same name, ${line.name}"
      "give one of them another name: l2wg card --name NAME there, and its new card here";

  # Of one that there is not, nothing else is looked at.
  kinds = builtins.attrNames (import ./encapsulations.nix).all;
  isKind = builtins.elem (net.encapsulation or "gretap") kinds;

  count = builtins.length nets;
  ofNets = [
    (refuse (builtins.length rows) (lib.last rows != "") "the last line has no end: is this all of the file?" "copy the file again")
    (refuse (builtins.head (nets ++ [ { number = 0; } ])).number
      (count == 1 && net.shape or "star" == "star" && !(net ? hub))
      "a star has a hub"
      "name the site that all others call: hub=NAME"
    )
    (refuse 0 (count == 0) "there is no line of the net" "add a line: net shape=star hub=NAME")
  ]
  ++ map (line: refuse line.number true "there is a line of the net already" "keep one of the two") (lib.drop 1 nets);
  ofKind = refuse (builtins.head (nets ++ [ { number = 0; } ])).number (!isKind) "unknown encapsulation ${net.encapsulation}"
    "one of: ${builtins.concatStringsSep ", " kinds}";
  hubs = lib.optionals (net ? hub) (split "," net.hub);
  ofHub = lib.optionals (builtins.all (line: line.name != null) cards) (
    map (
      hub:
      refuse (builtins.head nets).number (!builtins.elem hub (map (line: line.name) cards))
        "no site is called ${hub}"
        "the names are: ${builtins.concatStringsSep ", " (lib.take 5 names)}"
    ) hubs
  );
  names = builtins.attrNames firsts;
  # site_names.py
  mesh = "mesh";
in
{
  inherit ofNet ofSite names hubs;

  # What the tunnels to all of them would be called; this router's own is among them, and is none. A mesh of VXLAN has one.
  interfaces = if net.shape or "star" == "mesh" && net.encapsulation or "" == "vxlan" then [ mesh ] else map interface names ++ lib.optional (builtins.length hubs > 1) "hubs";
  bridges = builtins.attrNames (
    builtins.listToAttrs (map (bridge: lib.nameValuePair bridge null) ([ (net.bridge or "br0") ] ++ said "bridge"))
  );
  encapsulation = if isKind then net.encapsulation or "gretap" else "gretap";
  classic = builtins.elem "iptables" (said "mss-clamp" ++ [ (net.mss-clamp or "") ]);

  assertions = lib.concatMap ofLine lines ++ ofNets ++ [ ofKind ] ++ ofHub ++ map ofTwice twice;
}
