# The tests that boot NixOS, by name: one case, by each of the ways to have it.
builtins.mapAttrs (name: variant: import ./two-sites.nix (variant // { inherit name; })) {
  two-sites = { };
  two-sites-wireguard = { backend = "networking.wireguard"; };
  two-sites-networkd = { backend = "networkd"; };
  two-sites-vxlan = { encapsulation = "vxlan"; };
  two-sites-ipv6 = { ipv6 = true; };
  two-sites-vxlan-ipv6-networkd = { backend = "networkd"; encapsulation = "vxlan"; ipv6 = true; };
}
