{
  description = "Ethernet over WireGuard: a port of one site's bridge in another site's LAN";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";

  outputs =
    { self, nixpkgs }:
    let
      each = nixpkgs.lib.genAttrs [ "x86_64-linux" "aarch64-linux" ];
      packagesOf = system: nixpkgs.legacyPackages.${system};
    in
    {
      nixosModules.default = { imports = [ ./nix/module.nix ]; };
      nixosModules.l2wg = self.nixosModules.default;

      overlays.default = final: prev: { l2wg = final.callPackage ./nix/package.nix { }; };

      packages = each (system: rec {
        l2wg = (packagesOf system).callPackage ./nix/package.nix { };
        default = l2wg;
      });

      checks = each (
        system:
        let
          package = self.packages.${system}.default; # its build runs the unit tests
        in
        { inherit package; } // package.tests
      );
    };
}
