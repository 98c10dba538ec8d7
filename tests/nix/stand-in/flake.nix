{
  description = "A stand-in for nixpkgs: see lib.nix";
  outputs =
    { self }:
    let
      lib = import ./lib.nix;
    in
    {
      inherit lib;
      legacyPackages = lib.genAttrs [ "x86_64-linux" "aarch64-linux" ] (system: import ./packages.nix { inherit lib system; });
    };
}
