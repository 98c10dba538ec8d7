# Whether this NixOS configuration has a route to an address by an underlay, and which other interface takes it away.
{ lib, config, backend, networkd }:
underlay:
let
  inherit (config) networking;
  ip = import ./addresses.nix;
  below = backend underlay;
  told = networkd.says { Name = underlay; Type = "wireguard"; Kind = "wireguard"; };

  isMain = table: lib.elem table [ "main" "254" ];
  default = address: if ip.address (toString address) == null || ip.family (ip.address address) == 4 then "0.0.0.0/0" else "::/0";
  ofFile =
    says:
    lib.optionals (says != null) (
      says.addresses ++ map (route: if route.to == null then default route.via else route.to) (
        builtins.filter (route: isMain route.table) says.routes
      )
    );
  # NixOS has address and length apart.
  ofInterface =
    one:
    let
      isPlain = route: !((route.options or { }) ? table);
      routes = builtins.filter isPlain ((one.ipv4.routes or [ ]) ++ (one.ipv6.routes or [ ]));
    in
    map (net: "${net.address}/${toString net.prefixLength}") (one.ipv4.addresses ++ one.ipv6.addresses ++ routes);

  # Of the networks that have the address in them the longest prefix; -1 without any.
  longest =
    texts: address:
    builtins.foldl' (best: net: if net != null && ip.covers net address && net.length > best then net.length else best) (-1) (
      map ip.network texts
    );

  own =
    map (one: one.net) (builtins.filter (one: isMain one.table) below.routed)
    ++ below.addresses
    ++ lib.optionals (networking.interfaces ? ${underlay}) (ofInterface networking.interfaces.${underlay})
    ++ ofFile told;

  others = builtins.attrNames (removeAttrs networking.interfaces [ underlay ]);
  otherFiles = builtins.filter (says: told == null || says.key != told.key) networkd.files;
  # { path, length } each.
  rivals =
    address:
    builtins.filter (one: one.length > 0) (
      map (name: {
        path = "networking.interfaces.${name}";
        length = longest (ofInterface networking.interfaces.${name}) address;
      }) others
      # NixOS writes files of the above, too.
      ++ map (says: { inherit (says) path; length = longest (ofFile says) address; }) (
        builtins.filter (says: !lib.elem says.key (map (name: "40-${name}") others)) otherFiles
      )
    );
in
{
  # Not where a command of the admin's makes routes or rules, or something that Nix does not see.
  known =
    below.known
    && below.allowedIPs != null
    && builtins.match ".*(ip|IP|route).*" (toString ([ (networking.localCommands or "") ] ++ below.commands)) == null
    && !(told != null && told.rules);

  leads = address: longest own address >= 0;

  # The interfaces that an answer would leave by instead.
  shadows = address: builtins.filter (one: one.length >= longest own address) (rivals address);

  # What keeps the AllowedIPs that cover the address from being routes: { path, table, cure }, or null.
  because =
    address:
    let
      covering = builtins.filter (one: ip.network one.net != null && ip.covers (ip.network one.net) address) below.routed;
    in
    if covering == [ ] then null else builtins.head covering;
}
