# What the tests evaluate the module with where there is no nixpkgs: all of it stand-ins.
let
  lib = import ./lib.nix;
  pkgs = import ./packages.nix { inherit lib; };
  # systemd-escape(1) for the names of interfaces.
  utils.escapeSystemdPath = name: builtins.replaceStrings [ "-" ] [ "\\x2d" ] name;
  unit = import ./units.nix { inherit lib; inherit (pkgs) writeText; };
in
{
  inherit lib pkgs;
  evaluate = modules: lib.evalModules { modules = [ ./nixos.nix ] ++ modules; specialArgs = { inherit lib pkgs utils; }; };
  unitText = config: name: unit config.systemd.services.${name};
}
