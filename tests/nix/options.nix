# The options themselves, for comparison with l2wg_hooks/config/schema.py, and which `values` their types take.
{ values ? null, nixpkgs ? null }:
let
  lib = if nixpkgs == null then import ./stand-in/lib.nix else import (nixpkgs + "/lib");
  file = import ../../nix/file.nix { inherit lib; };
  tunnel = (import ../../nix/options.nix { inherit lib; }).options;
  module = import ../../nix/module.nix {
    inherit lib;
    config = { };
    pkgs.l2wg = "l2wg";
    utils = { };
  };
  facts = lib.mapAttrs (
    _: option: {
      typed = (option.type._type or "") == "option-type";
      described = option.description or "" != "";
      exemplified = option ? example;
      example = option.example or null;
      defaulted = option ? default;
      default = option.default or null;
    }
  );
  takes =
    { option, value }:
    let
      evaluated = lib.evalModules {
        modules = [
          { options.${option} = tunnel.${option}; }
          { config.${option} = value; }
        ];
      };
    in
    (builtins.tryEval (builtins.deepSeq evaluated.config.${option} true)).success;
in
{
  inherit (file) keys asked;
  names = map file.camelCase file.keys;
  top = facts module.options.services.l2wg;
  tunnel = facts tunnel;
  encapsulations = lib.mapAttrs (_: one: removeAttrs one [ "exclusive" ]) (import ../../nix/encapsulations.nix).all;
  takes = if values == null then [ ] else map takes (builtins.fromJSON (builtins.readFile values));
}
