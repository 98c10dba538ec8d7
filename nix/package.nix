{
  lib,
  python3Packages,
  testers,
  coreutils,
  gnused,
  installShellFiles,
  iproute2,
  iptables,
  iputils,
  kmod,
  nftables,
  procps,
  systemd,
  util-linux,
  wireguard-tools,
}:
let
  tools = [ iproute2 nftables wireguard-tools iptables kmod procps ];
  # Those of the watch's script.
  more = [ coreutils gnused util-linux ];
  version = builtins.match ".*__version__ = \"([^\"]+)\".*" (builtins.readFile ../l2wg_hooks/__init__.py);
in
python3Packages.buildPythonApplication {
  pname = "l2wg";
  version = builtins.head version;
  pyproject = true;
  src = lib.sourceByRegex ../. [
    "README\\.md"
    "setup\\.(cfg|py)"
    "l2wg_hooks(/.*)?"
    "completion(/.*)?"
    # A unit test reads a module of it.
    "contrib(/.*)?"
    "docs(/.*)?"
    "etc"
    "etc/l2wg(/.*)?"
    "etc/systemd(/system(/l2wg-(device|manager)@[.]service)?)?"
    "debian(/l2wg[.]udev)?"
    # docs/security.md names tests of all tiers, and a unit test looks for them.
    "tests(/.*)?"
  ];

  # The commands that l2wg runs are these, whatever the caller's PATH is.
  postPatch = ''
    substituteInPlace l2wg_hooks/system/process.py --replace-fail /usr/sbin:/usr/bin:/sbin:/bin ${lib.makeBinPath tools}
    substituteInPlace etc/l2wg/look --replace-fail /usr/sbin:/usr/bin:/sbin:/bin ${lib.makeBinPath (tools ++ more)}
    substituteInPlace etc/l2wg/hubs --replace-fail /usr/sbin:/usr/bin:/sbin:/bin ${lib.makeBinPath (tools ++ more ++ [ iputils systemd ])}
    substituteInPlace etc/l2wg/hubs --replace-fail /usr/bin/l2wg "$out/bin/l2wg"
    substituteInPlace etc/l2wg/look --replace-fail /usr/bin/l2wg "$out/bin/l2wg"
    substituteInPlace etc/l2wg/look --replace-fail /usr/lib/l2wg "$out/lib/l2wg"
    substituteInPlace etc/l2wg/device --replace-fail PATH=/usr/bin:/bin PATH=${lib.makeBinPath [ systemd ]}
    substituteInPlace etc/l2wg/device --replace-fail /usr/lib/l2wg "$out/lib/l2wg"
    substituteInPlace debian/l2wg.udev --replace-fail /usr/lib/l2wg "$out/lib/l2wg"
    substituteInPlace etc/systemd/system/l2wg-device@.service --replace-fail /usr/lib/l2wg "$out/lib/l2wg"
    substituteInPlace etc/systemd/system/l2wg-manager@.service --replace-fail /usr/bin/l2wg "$out/bin/l2wg"
  '';

  nativeBuildInputs = [ installShellFiles ];
  build-system = [ python3Packages.setuptools ];
  dependencies = [ python3Packages.jinja2 ];
  # setup.cfg names the unit tests.
  nativeCheckInputs = [ python3Packages.pytestCheckHook ];

  postInstall = ''
    install -D etc/l2wg/look $out/lib/l2wg/look
    install -D etc/l2wg/hubs $out/lib/l2wg/hubs
    # Device events: services.udev.packages, systemd.packages.
    install -D etc/l2wg/device $out/lib/l2wg/device
    install -D -m 644 etc/l2wg/ours $out/lib/l2wg/ours
    install -D -m 644 debian/l2wg.udev $out/lib/udev/rules.d/85-l2wg.rules
    for unit in device manager; do
      install -D -m 644 etc/systemd/system/l2wg-$unit@.service $out/lib/systemd/system/l2wg-$unit@.service
    done
    installManPage docs/l2wg.8 docs/l2wg.conf.5 docs/l2wg-sites.5
    for shell in bash zsh; do
      python3 -B completion/generate $shell >l2wg.$shell
      installShellCompletion --cmd l2wg --$shell l2wg.$shell
    done
  '';

  # Each boots four virtual machines; none is a part of the build.
  passthru.tests = builtins.mapAttrs (_: testers.runNixOSTest) (import ./tests);

  meta = {
    description = "Ethernet over WireGuard: a port of one site's bridge in another site's LAN";
    homepage = "https://example.org/l2wg";
    # As debian/control has them. They are in no list of nixpkgs' maintainers, which is all that a module may name.
    maintainers = [ { name = "l2wg developers"; email = "l2wg@example.org"; } ];
    license = lib.licenses.mit;
    mainProgram = "l2wg";
    platforms = lib.platforms.linux;
  };
}
