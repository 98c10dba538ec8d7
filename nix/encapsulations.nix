# What the module has to know of each encapsulation, as l2wg_hooks/encapsulation has it; tests/nix/test_options.py compares them.
let
  ip = import ./addresses.nix;
  vxlanLink = { name = "vxlan"; module = "vxlan"; ownRoute = true; };
in
rec {
  all = {
    gretap = {
      # By the family of the ends: the kernel's word, what makes it, and whether it has a policy route.
      kinds = {
        "4" = { name = "gretap"; module = "ip_gre"; ownRoute = false; };
        "6" = { name = "ip6gretap"; module = "ip6_gre"; ownRoute = true; };
      };
      udpPort = null;
      numberWord = "key";
      numberMax = 4294967295;
      numberDefault = null;
      exclusiveWords = "ends and key";
      # What no two of one kind may have in common.
      exclusive = one: [ one.underlay (ends one) (number one) ];
    };
    vxlan = {
      kinds = { "4" = vxlanLink; "6" = vxlanLink; };
      udpPort = 4789;
      numberWord = "VNI";
      numberMax = 16777215;
      numberDefault = 1;
      exclusiveWords = "VNI and port";
      exclusive = one: [ (number one) (udpPort one) ];
    };
  };

  family = tunnel: ip.family (ip.address tunnel.local);
  # With control = "evpn" none is known, but where all of them are: in the prefix.
  isPrefix = tunnel: builtins.isString tunnel.remote && builtins.match ".*/.*" tunnel.remote != null;
  remotes =
    tunnel:
    if isPrefix tunnel then
      [ ]
    else if builtins.isList tunnel.remote then
      tunnel.remote
    else
      [ tunnel.remote ];
  senders = tunnel: if isPrefix tunnel then [ tunnel.remote ] else remotes tunnel;
  ends = tunnel: map ip.address ([ tunnel.local ] ++ remotes tunnel);
  # Of a list, each far end with this router's.
  pairs = tunnel: map (remote: map ip.address [ tunnel.local remote ]) (remotes tunnel);
  of = tunnel: all.${tunnel.encapsulation};
  kind = tunnel: (of tunnel).kinds.${toString (family tunnel)};
  number = tunnel: if tunnel.key == null then (of tunnel).numberDefault else tunnel.key;
  # null: its packets are not UDP.
  udpPort = tunnel: if (of tunnel).udpPort == null || tunnel.port == null then (of tunnel).udpPort else tunnel.port;
  # The words of option `encapsulation` for those that have one, and the ports.
  withPort = builtins.filter (name: all.${name}.udpPort != null) (builtins.attrNames all);
  defaultPorts = map (name: all.${name}.udpPort) withPort;
}
