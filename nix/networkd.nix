# Which file of systemd-networkd decides over an interface, and what it says of it: systemd.network(5) as far as Nix can see.
{ lib, config }:
let
  inherit (config.systemd) network;
  yes = value: lib.elem value [ true "true" "yes" "on" "1" "y" "t" ];
  # A list of systemd's is one string, or several.
  words =
    value:
    builtins.filter (word: builtins.isString word && word != "") (
      lib.concatMap (one: builtins.split "[ \t\n]+" (toString one)) (lib.toList value)
    );

  # glob(7) as a regular expression; what stands in brackets is the same in both, but for the sign of "none of these".
  regex =
    pattern:
    let
      closed = builtins.match ".*\\[[^]]+].*" pattern != null;
      sign = if closed then { glob = "[!"; regex = "[^"; } else { glob = "["; regex = "\\["; };
      plain = [ "\\" "." "+" "(" ")" "{" "}" "|" "^" "$" ];
    in
    builtins.replaceStrings (plain ++ [ "*" "?" sign.glob ]) (map (one: "\\" + one) plain ++ [ ".*" "." sign.regex ]) pattern;

  # A "!" before the first word turns the whole list round.
  among =
    patterns: value:
    let
      inverted = lib.hasPrefix "!" (builtins.head patterns);
      plain = if inverted then [ (lib.removePrefix "!" (builtins.head patterns)) ] ++ builtins.tail patterns else patterns;
    in
    builtins.any (pattern: builtins.match (regex pattern) value != null) plain != inverted;

  # true, false, or null: a card's address or driver, say, is not known here.
  matches =
    link: one:
    let
      told = (lib.optionalAttrs (one.name or null != null) { Name = one.name; }) // (one.matchConfig or { });
      conditions = lib.filterAttrs (_: value: words value != [ ]) told;
      verdict = key: value: if (link.${key} or null) == null then null else among (words value) link.${key};
      verdicts = lib.mapAttrsToList verdict conditions;
    in
    if verdicts == [ ] || lib.elem false verdicts then false else if lib.elem null verdicts then null else true;

  # In the order of the files' names.
  keys = builtins.filter (key: network.networks.${key}.enable or true) (
    lib.sort (one: two: one + ".network" < two + ".network") (builtins.attrNames network.networks)
  );

in
rec {
  running = network.enable || config.networking.useNetworkd;

  # The names of the files, by their order, that surely match a link: { Name, Type, Kind }, what is null being unknown.
  matching = link: if running then builtins.filter (key: matches link network.networks.${key} == true) keys else [ ];

  # What the deciding one says; null where none decides.
  says =
    link:
    let
      found = matching link;
    in
    if found == [ ] then null else read (builtins.head found);

  # All of them, whatever they match.
  files = if running then map read keys else [ ];

  read =
    key:
    let
      one = network.networks.${key};
      section = one.networkConfig or { };
      # Before NixOS 24.11 each section had its own name around it.
      addresses = map (address: address.addressConfig or address) (one.addresses or [ ]);
      routes = map (route: route.routeConfig or route) (one.routes or [ ]);
      dhcp = if one.DHCP or null != null then one.DHCP else section.DHCP or "no";
      linkLocal = section.LinkLocalAddressing or "ipv6";
      master = kind: lib.toList (section.${kind} or [ ]) ++ (one.${lib.toLower kind} or [ ]);
      names = words (if one.name or null != null then one.name else one.matchConfig.Name or [ ]);
      gateways = lib.toList (section.Gateway or [ ]) ++ (one.gateway or [ ]);
    in
    {
      inherit key;
      path = "systemd.network.networks.${key}";
      # What it matches, in words.
      pattern = if names == [ ] then "by its type" else toString names;
      unmanaged = yes (one.linkConfig.Unmanaged or false);
      keepsMaster = yes (section.KeepMaster or false);
      bridges = master "Bridge";
      masters = lib.concatMap master [ "Bridge" "Bond" "VRF" "BatmanAdvanced" ];
      dhcp = yes dhcp || lib.elem dhcp [ "ipv4" "ipv6" "both" "v4" "v6" ];
      # Router advertisements, without that anybody has said so.
      acceptsRA = !(section ? IPv6AcceptRA) && (yes linkLocal || linkLocal == "ipv6");
      addresses = words (
        (one.address or [ ])
        ++ lib.toList (section.Address or [ ])
        ++ lib.concatMap (address: lib.toList (address.Address or [ ])) addresses
      );
      # `to` is null for a default route.
      routes =
        map (route: {
          to = route.Destination or null;
          via = route.Gateway or null;
          table = toString (route.Table or "main");
        }) routes
        ++ map (via: { to = null; inherit via; table = "main"; }) gateways;
      rules = (one.routingPolicyRules or [ ]) != [ ];
    };
}
