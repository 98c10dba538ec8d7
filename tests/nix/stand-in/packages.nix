# A stand-in for the packages that nix/package.nix asks for. l2wg itself is built for real, by Debian's python3 and pip.
{ lib, system ? "x86_64-linux" }:
let
  shell =
    name: script: variables:
    derivation ({ inherit name system; builder = "/bin/sh"; args = [ "-euc" script ]; PATH = "/usr/bin:/bin"; } // variables);
  debian = name: { outPath = "/usr"; pname = name; };
  packages = {
    inherit lib;
    python3Packages = {
      setuptools = debian "python3-setuptools";
      jinja2 = debian "python3-jinja2";
      pytestCheckHook = debian "python3-pytest";
      buildPythonApplication =
        attributes:
        shell "${attributes.pname}-${attributes.version}" (builtins.readFile ./build.sh) {
          inherit (attributes) src version postPatch postInstall;
        }
        // { inherit (attributes) meta passthru pname version; inherit (attributes.passthru) tests; arguments = attributes; };
    };
    coreutils = debian "coreutils";
    gnused = debian "sed";
    installShellFiles = debian "installShellFiles";
    iproute2 = debian "iproute2";
    iputils = debian "iputils-ping";
    iptables = debian "iptables";
    kmod = debian "kmod";
    nftables = debian "nftables";
    procps = debian "procps";
    systemd = debian "systemd";
    tcpdump = debian "tcpdump";
    util-linux = debian "util-linux";
    testers.runNixOSTest = test: shell "vm-test-run-${test.name}" "touch $out" { script = test.testScript; };
    wireguard-tools = debian "wireguard-tools";
  };
in
packages
// {
  runCommand = name: variables: script: shell name script (removeAttrs variables [ "preferLocalBuild" ]);
  writeText = name: text: { inherit name text; outPath = builtins.toFile name text; };
  callPackage = path: more: import path (builtins.intersectAttrs (builtins.functionArgs (import path)) packages // more);
}
