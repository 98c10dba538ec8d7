# A stand-in for NixOS' writing of unit files: the text of a service, by systemd.unit(5) and the options' descriptions.
{ lib, writeText }:
unit:
let
  text = value: if value == true then "true" else if value == false then "false" else toString value;
  line = key: value: lib.concatMapStrings (one: "${key}=${text one}\n") (lib.toList value);
  joined = key: values: lib.optionalString (values != [ ]) "${key}=${toString values}\n";
  section = title: settings: "[${title}]\n" + lib.concatStrings (lib.mapAttrsToList line settings);
  # Of what is yet to be built, the path tells.
  trigger = writeText "X-Restart-Triggers" (builtins.unsafeDiscardStringContext (toString unit.restartTriggers));
in
"[Unit]\n"
+ line "Description" unit.description
+ joined "Documentation" unit.documentation
+ joined "BindsTo" (unit.bindsTo or [ ])
+ joined "After" (unit.after or [ ])
+ joined "PartOf" (unit.partOf or [ ])
+ lib.optionalString (unit ? restartTriggers) "X-Restart-Triggers=${trigger}\n"
+ lib.concatStrings (lib.mapAttrsToList line (unit.unitConfig or { }))
+ lib.optionalString (unit.reloadIfChanged or false) "X-ReloadIfChanged=true\n"
+ section "Service" unit.serviceConfig
