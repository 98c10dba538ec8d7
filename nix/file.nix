# The text of /etc/l2wg/<tunnel>.conf, with the same lines in the same order as `l2wg set` writes them on Debian.
{ lib }:
let
  known = import ./options.nix { inherit lib; };
in
rec {
  inherit (known) keys asked;

  camelCase =
    key:
    let
      words = lib.splitString "-" key;
      capital = word: lib.toUpper (builtins.substring 0 1 word) + builtins.substring 1 (-1) word;
    in
    lib.concatStrings ([ (builtins.head words) ] ++ map capital (builtins.tail words));

  value =
    of:
    if of == null then
      ""
    else if builtins.isBool of then
      (if of then "yes" else "no")
    else if builtins.isList of then
      lib.concatMapStringsSep " " value of
    else
      toString of;

  text =
    name: tunnel:
    let
      pad = key: key + lib.concatStrings (builtins.genList (_: " ") (lib.max 0 (14 - builtins.stringLength key)));
      line = key: of: lib.removeSuffix " " "${pad key} = ${value of}" + "\n";
      # A list of one is a list, too.
      single = key: of: key == "remote" && builtins.isList of && builtins.length of == 1;
      option = key: of: line key (if single key of then "${builtins.head of}," else of);
      default = key: known.options.${camelCase key}.default or null;
      written = key: lib.elem key asked || tunnel.${camelCase key} != default key;
    in
    "# Written by services.l2wg.tunnels.${name}; see l2wg.conf(5).\n"
    + lib.concatMapStrings (key: option key tunnel.${camelCase key}) (builtins.filter written keys)
    + lib.concatStrings (lib.mapAttrsToList line tunnel.settings);
}
