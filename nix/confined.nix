# What a service of ours is kept from that carries out the plan of tunnels whose `wire` is "shared".
import ./hardening.nix
// {
  # NET_ADMIN makes links and rules, NET_RAW sends the loop probe. No module is loaded: boot.kernelModules.
  CapabilityBoundingSet = [ "CAP_NET_ADMIN" "CAP_NET_RAW" ];
  # UNIX is the journal's, PACKET the loop probe's.
  RestrictAddressFamilies = [ "AF_NETLINK" "AF_UNIX" "AF_PACKET" ];
  # Locks and what is loaded; the command line uses the same ones.
  ReadWritePaths = [ "/run" ];
  ProtectProc = "invisible";
  MemoryDenyWriteExecute = true;
  RestrictNamespaces = true;
  SystemCallFilter = [ "@system-service" ];
  SystemCallErrorNumber = "EPERM";
}
