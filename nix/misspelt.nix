# Keys of tunnels that are no options, and the options that are meant. NixOS itself would say no more than that they do not exist.
{ lib, options }:
let
  names = builtins.attrNames options;
  # bridge-ports, bridge_ports and BridgePorts are bridgePorts.
  plain = text: lib.toLower (builtins.replaceStrings [ "-" "_" "." " " ] [ "" "" "" "" ] text);

  # The names that are nearest to a word, if any is near.
  nearest =
    word:
    let
      said = plain word;
      within = limit: builtins.filter (name: lib.strings.levenshtein said (plain name) <= limit) names;
      length = builtins.stringLength said;
      holding = builtins.filter (name: lib.hasInfix said (plain name) || lib.hasInfix (plain name) said) names;
      # Its last word, as `ports` is that of bridgePorts, is as near as one letter.
      isNear = name: lib.strings.levenshtein said (plain name) <= 1 || (length > 2 && lib.hasSuffix said (plain name));
      tries = [ (within 0) (builtins.filter isNear names) ] ++ lib.optional (length > 2) holding ++ lib.optional (length > 4) (within 2);
      found = builtins.filter (list: list != [ ]) tries;
    in
    if found == [ ] then [ ] else builtins.head found;

  cure =
    key:
    if nearest key != [ ] then
      "write ${lib.concatStringsSep " or " (nearest key)}"
    else
      "the options are ${lib.concatStringsSep ", " names}; further keys of l2wg.conf(5) go into settings";
in
rec {
  keys = tunnel: builtins.attrNames (removeAttrs tunnel names);

  assertions =
    tunnels:
    let
      refuse = name: key: {
        assertion = false;
        message = "services.l2wg.tunnels.${name}.${key}: there is no such option\n  cure: ${cure key}";
      };
    in
    lib.concatLists (lib.mapAttrsToList (name: tunnel: map (refuse name) (keys tunnel)) tunnels);
}
