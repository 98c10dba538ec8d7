# The phases of nixpkgs' buildPythonApplication that nix/package.nix relies on, as a stand-in, with Debian's pip.
HOME=$PWD
export HOME
cp -r "$src" source
chmod -R u+w source
cd source

substituteInPlace() {
    [ "$2" = --replace-fail ] && grep -qF -e "$3" "$1" || {
        echo "substituteInPlace: $1 has no $3" >&2
        exit 1
    }
    sed -i "s|$3|$4|g" "$1"
}
installManPage() {
    for page; do
        install -D -m 644 "$page" "$out/share/man/man${page##*.}/${page##*/}"
    done
}
installShellCompletion() {
    [ "$1 $2" = "--cmd l2wg" ]
    case $3 in
        --bash) install -D -m 644 "$4" "$out/share/bash-completion/completions/l2wg.bash" ;;
        --zsh) install -D -m 644 "$4" "$out/share/zsh/site-functions/_l2wg" ;;
        *) false ;;
    esac
}

eval "$postPatch"
/usr/bin/python3 -m pip install -q --disable-pip-version-check --no-index --no-deps --no-build-isolation --no-compile \
    --no-cache-dir --target "$out/lib" .
mv "$out/lib/bin" "$out/bin"
sed -i "1a import site; site.addsitedir('$out/lib')" "$out/bin/l2wg" # as nixpkgs' wrapper does
eval "$postInstall"
/usr/bin/python3 -B -m pytest -q -p no:cacheprovider
