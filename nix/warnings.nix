# What may be right, but hardly is: NixOS prints it and builds all the same.
{ lib, config, tunnels, backend, links, networkd, routes }:
let
  inherit (config.networking) firewall;
  ip = import ./addresses.nix;
  encapsulations = import ./encapsulations.nix;

  warn =
    name: key: wrong: message: cure:
    lib.optional wrong "services.l2wg.tunnels.${name}.${key}: ${message}\n  cure: ${cure}";

  sysctl = name: toString (config.boot.kernel.sysctl."net.ipv4.conf.${name}.rp_filter" or "");
  # What drops a packet whose answer would not leave by the interface that it came in by: the firewall, or the kernel (IPv4 only).
  strict =
    tunnel:
    let
      interface = builtins.replaceStrings [ "." ] [ "/" ] tunnel.underlay;
      # The larger one of the two counts.
      kernel = map sysctl [ "all" interface ];
      isIPv4 = ip.family (ip.address tunnel.local) == 4;
    in
    lib.optional (firewall.enable && lib.elem firewall.checkReversePath [ true "strict" ]) "networking.firewall.checkReversePath"
    ++ lib.optional (isIPv4 && lib.elem "1" kernel && !lib.elem "2" kernel) "rp_filter";
  loose = firewall.enable && firewall.checkReversePath == "loose";

  ofOne =
    name: tunnel:
    let
      inherit (tunnel) bridge underlay;
      at = warn name;
      own = tunnel.bridgePorts != [ ];
      way = routes underlay;
      judged = tunnel.wire != "own" && way.known && !lib.elem "route" tunnel.external;
      filters = strict tunnel;
      effect =
        if filters != [ ] then
          "${lib.concatStringsSep " and " filters} drops what comes from there: nothing crosses"
        else if loose then
          "networking.firewall.checkReversePath = \"loose\" lets in what comes from there only while there is a default route"
        else
          "this router's own packets to it go elsewhere, and `l2wg check` cannot measure the path";
      elsewhere = "or, if another program makes it, external = [ \"route\" ]";

      # A file before NixOS' own, or one where NixOS has none. Who names the bridge itself wants what they say of it.
      says = networkd.says { Name = bridge; Type = "ether"; Kind = "bridge"; };
      foreign = own && says != null && !says.unmanaged && says.key != "40-${bridge}";
      leased = says.dhcp && says.pattern != bridge;
      taken = if leased then "an address" else "a default route by IPv6";

      ofPort =
        port:
        let
          vlans = links.vlansOf port;
        in
        at "bridgePorts" (vlans != [ ])
          "${port} has a VLAN of its own: tagged frames for ${toString vlans} do not cross"
          "if they are to cross, define networking.vlans on ${bridge} rather than on ${port}";

      ofRemote =
        remote:
        let
          address = ip.address remote;
          cause = way.because address;
          rivals = way.shadows address;
        in
        at "remote" (judged && cause != null && !way.leads address)
          "AllowedIPs cover ${remote}, but no route leads there through ${underlay} (${cause.path}), and ${effect}"
          "${cause.cure}; ${elsewhere}"
        ++ at "remote" (judged && way.leads address && rivals != [ ])
          (
            "${remote} also lies in a network of ${lib.concatMapStringsSep ", " (one: one.path) rivals}, so answers to it leave there, "
            + "not through ${underlay}${lib.optionalString (filters != [ ]) ", and ${effect}"}"
          )
          "choose ends that are in no network of either LAN, such as the addresses of ${underlay}; ${elsewhere}";
    in
    lib.concatMap ofRemote (encapsulations.remotes tunnel)
    ++ at "bridge" (foreign && (leased || (says.acceptsRA && !says.dhcp)))
      "${says.path} (${says.pattern}) is networkd's file for ${bridge}, and has this router take ${taken} from the other site"
      "have it not match ${bridge}; or set DHCP = \"no\" and IPv6AcceptRA = false there"
    ++ lib.concatMap ofPort tunnel.bridgePorts;
in
lib.concatLists (lib.mapAttrsToList ofOne tunnels)
