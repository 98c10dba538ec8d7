# A stand-in for as much of nixpkgs' lib as nix/ uses, written for these tests: nixpkgs is not in Debian. It shows that
# the module is what it should be if lib is what its manual says; with nixpkgs in NIX_PATH the same tests run on the real one.
let
  inherit (builtins) all any attrNames concatLists concatMap elem elemAt filter foldl' genList head isAttrs isBool isFunction;
  inherit (builtins) isInt isList isString length listToAttrs map match replaceStrings stringLength substring tail toJSON;
in
rec {
  # Functions of lib, each as its manual says.
  inherit (builtins) concatLists concatMap concatStringsSep elem filter genList head length mapAttrs tail;
  nameValuePair = name: value: { inherit name value; };
  filterAttrs = keep: set: listToAttrs (map (name: nameValuePair name set.${name}) (filter (name: keep name set.${name}) (attrNames set)));
  mapAttrsToList = change: set: map (name: change name set.${name}) (attrNames set);
  mapAttrs' = change: set: listToAttrs (mapAttrsToList change set);
  genAttrs = names: value: listToAttrs (map (name: nameValuePair name (value name)) names);
  optional = wanted: value: if wanted then [ value ] else [ ];
  optionals = wanted: values: if wanted then values else [ ];
  optionalString = wanted: text: if wanted then text else "";
  optionalAttrs = wanted: set: if wanted then set else { };
  concatStrings = concatStringsSep "";
  concatMapStrings = change: list: concatStrings (map change list);
  concatMapStringsSep = separator: change: list: concatStringsSep separator (map change list);
  unique = foldl' (known: value: if elem value known then known else known ++ [ value ]) [ ];
  toList = value: if isList value then value else [ value ];
  max = left: right: if left > right then left else right;
  drop = count: list: genList (index: elemAt list (index + count)) (max 0 (length list - count));
  imap0 = change: list: genList (index: change index (elemAt list index)) (length list);
  imap1 = change: list: genList (index: change (index + 1) (elemAt list index)) (length list);
  last = list: elemAt list (length list - 1);
  isDerivation = value: value.type or "" == "derivation";
  take = count: list: genList (elemAt list) (if count < length list then count else length list);
  splitString = separator: text: filter isString (builtins.split (replaceStrings [ "." ] [ "\\." ] separator) text);
  removeSuffix =
    suffix: text:
    let
      rest = stringLength text - stringLength suffix;
    in
    if rest >= 0 && substring rest (-1) text == suffix then substring 0 rest text else text;
  hasPrefix = prefix: text: substring 0 (stringLength prefix) text == prefix;
  removePrefix = prefix: text: if hasPrefix prefix text then substring (stringLength prefix) (-1) text else text;
  hasInfix = part: text: replaceStrings [ part ] [ "" ] text != text;
  hasSuffix =
    part: text:
    let
      rest = stringLength text - stringLength part;
    in
    rest >= 0 && substring rest (-1) text == part;
  sort = builtins.sort;
  toLower = replaceStrings (characters "ABCDEFGHIJKLMNOPQRSTUVWXYZ") (characters "abcdefghijklmnopqrstuvwxyz");
  # How many characters have to be changed, added or taken out.
  strings.levenshtein =
    one: two:
    let
      left = characters one;
      right = characters two;
      row = previous: index: foldl' (
        cells: column:
        cells ++ [
          (foldl' min (elemAt cells column + 1) [
            (elemAt previous (column + 1) + 1)
            (elemAt previous column + (if elemAt left index == elemAt right column then 0 else 1))
          ])
        ]
      ) [ (index + 1) ] (genList (column: column) (length right));
      last = foldl' row (genList (column: column) (length right + 1)) (genList (index: index) (length left));
    in
    elemAt last (length right);
  min = left: right: if left < right then left else right;
  toUpper = replaceStrings (characters "abcdefghijklmnopqrstuvwxyz") (characters "ABCDEFGHIJKLMNOPQRSTUVWXYZ");
  characters = text: genList (index: substring index 1 text) (stringLength text);
  toIntBase10 = text: builtins.fromJSON (head (match "0*([0-9]+)" text));
  getExe = package: "${package}/bin/${package.meta.mainProgram}";
  makeBinPath = concatMapStringsSep ":" (package: "${package}/bin");
  literalExpression = text: { _type = "literalExpression"; inherit text; };
  sourceByRegex =
    folder: patterns:
    builtins.path {
      name = "source";
      path = folder;
      filter = path: _: any (pattern: match pattern (substring (stringLength (toString folder) + 1) (-1) path) != null) patterns;
    };
  licenses.mit.spdxId = "MIT";
  platforms.linux = [ "x86_64-linux" "aarch64-linux" ];

  # Options, their types and how definitions become values.
  mkOption = option: option // { _type = "option"; };
  mkIf = condition: content: { _type = "if"; inherit condition content; };
  mkMerge = contents: { _type = "merge"; inherit contents; };
  mkOverride = priority: content: { _type = "override"; inherit priority content; };
  mkDefault = mkOverride 1000;
  mkForce = mkOverride 50;
  mkEnableOption = name: mkOption { type = types.bool; default = false; example = true; description = "Whether to enable ${name}."; };

  types = rec {
    type = name: description: check: merge: { _type = "option-type"; inherit name description check merge; };
    equal =
      path: values:
      if all (value: value == head values) values then head values else throw "The option `${path}' has conflicting definition values";
    simple = name: check: type name name check equal;
    addCheck = base: check: base // { check = value: base.check value && check value; };
    str = simple "string" isString;
    bool = simple "boolean" isBool;
    int = simple "signed integer" isInt;
    package = simple "package" (value: isAttrs value && value ? outPath);
    ints.between = low: high: simple "integer between ${toString low} and ${toString high} (both inclusive)" (
      value: isInt value && value >= low && value <= high
    );
    path = simple "absolute path" (
      value: builtins.isPath value || (isString value && substring 0 1 value == "/") || value.type or "" == "derivation"
    );
    either =
      one: two:
      type "${one.name} or ${two.name}" "${one.description} or ${two.description}" (value: one.check value || two.check value) (
        path: values: (if all one.check values then one else two).merge path values
      );
    enum = words: simple "one of ${toJSON words}" (value: elem value words);
    oneOf = list: simple "one of several types" (value: any (one: one.check value) list);
    lines = type "strings concatenated with \"\\n\"" "strings concatenated with \"\\n\"" isString (_: concatStringsSep "\n");
    nullOr =
      of:
      type "null or ${of.name}" "null or ${of.description}" (value: value == null || of.check value) (
        path: values: if all (value: value == null) values then null else of.merge path values
      );
    listOf =
      of:
      type "list of ${of.name}" "list of ${of.description}" isList (
        path: values: map (value: optionValue path { type = of; } [ value ]) (concatLists values)
      );
    attrsOf =
      of:
      { inherit of; } // type "attribute set of ${of.name}" "attribute set of ${of.description}" isAttrs (
        path: values:
        let
          names = filter (name: discharge (definitions name values) != [ ]) (unique (concatMap attrNames values));
        in
        genAttrs names (name: optionValue "${path}.${name}" { type = of; } (definitions name values))
      );
    submodule =
      module:
      type "submodule" "submodule" (value: isAttrs value || isFunction value) (
        path: values:
        (evalModules {
          modules = [ module ] ++ map (value: if isAttrs value then { config = value; } else value) values;
          prefix = "${path}.";
        }).config
      );
    unspecified = type "unspecified" "unspecified" (_: true) (_: head);
    # What the stand-ins for NixOS' own options take, unchecked.
    anything = type "anything" "anything" (_: true) (
      path: values:
      if all isAttrs values && !any (value: value ? outPath) values then
        (attrsOf anything).merge path values
      else if all isList values then
        concatLists values
      else
        equal path values
    );
  };

  # The definitions of `name` in some definitions of the set that it is in: conditions are passed on, not looked at.
  definitions =
    name:
    concatMap (
      one:
      let
        kind = one._type or "";
        inner = definitions name [ one.content ];
      in
      if kind == "if" then
        map (mkIf one.condition) inner
      else if kind == "override" then
        map (mkOverride one.priority) inner
      else if kind == "merge" then
        definitions name one.contents
      else
        optional (one ? ${name}) one.${name}
    );

  namesOf =
    one:
    let
      kind = one._type or "";
    in
    if kind == "if" || kind == "override" then
      namesOf one.content
    else if kind == "merge" then
      concatMap namesOf one.contents
    else
      attrNames one;

  # The values of definitions, as { priority, value }; 100 is that of a plain one.
  discharge = concatMap (
    one:
    let
      kind = if isAttrs one then one._type or "" else "";
    in
    if kind == "if" then
      (if one.condition then discharge [ one.content ] else [ ])
    else if kind == "merge" then
      discharge one.contents
    else if kind == "override" then
      map (inner: inner // { inherit (one) priority; }) (discharge [ one.content ])
    else
      [ { priority = 100; value = one; } ]
  );

  optionValue =
    path: option: defined:
    let
      found = discharge defined ++ optional (option ? default) { priority = 1500; value = option.default; };
      first = foldl' (least: one: if one.priority < least then one.priority else least) 9999 found;
      values = map (one: one.value) (filter (one: one.priority == first) found);
      wrong = filter (value: !option.type.check value) values;
    in
    if found == [ ] then
      throw "The option `${path}' was accessed but has no value defined. Try setting the option."
    else if wrong != [ ] then
      throw "A definition for option `${path}' is not of type `${option.type.description}'. Definition values: ${toJSON wrong}"
    else
      option.type.merge path values;

  evalModules =
    { modules, specialArgs ? { }, prefix ? "" }:
    let
      arguments = specialArgs // { inherit config; };
      load =
        module:
        let
          isFile = builtins.isPath module || isString module;
          imported = if isFile then import module else module;
          loaded = if isFunction imported then imported arguments else imported;
          short = !(loaded ? options || loaded ? config);
        in
        [
          {
            key = loaded.key or (if isFile then toString module else null);
            options = loaded.options or { };
            config = if short then removeAttrs loaded [ "imports" "key" "freeformType" ] else loaded.config or { };
            freeform = loaded.freeformType or null;
          }
        ]
        ++ concatMap load (loaded.imports or [ ]);
      # A module is one module, however often it is imported: it is known by its key, which is its file's path if it says none.
      all = foldl' (known: one: if one.key != null && any (other: other.key == one.key) known then known else known ++ [ one ]) [ ] (
        concatMap load modules
      );
      freeforms = filter (type: type != null) (map (one: one.freeform) all);
      declare =
        sets: genAttrs (unique (concatMap attrNames sets)) (
          name:
          let
            found = map (set: set.${name}) (filter (set: set ? ${name}) sets);
          in
          if (head found)._type or "" != "option" then
            declare found
          else if tail found != [ ] then
            throw "The option `${prefix}${name}' is already declared."
          else
            head found
        );
      options = declare (map (module: module.options) all);
      evaluate =
        path: declared: defined:
        let
          unknown = filter (name: !declared ? ${name}) (concatMap namesOf defined);
          value =
            name: option:
            if option._type or "" == "option" then
              optionValue "${path}${name}" option (definitions name defined)
            else
              evaluate "${path}${name}." option (definitions name defined);
        in
        if unknown == [ ] then
          mapAttrs value declared
        else if path == prefix && freeforms != [ ] then
          genAttrs (unique unknown) (name: optionValue "${path}${name}" { type = (head freeforms).of; } (definitions name defined)) // mapAttrs value declared
        else
          throw "The option `${path}${head unknown}' does not exist.";
      config = evaluate prefix options (map (module: module.config) all);
    in
    { inherit config options; };
}
