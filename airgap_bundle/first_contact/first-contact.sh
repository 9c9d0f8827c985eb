#!/bin/sh
# First contact: makes the command `sovereign` out of a signed bundle, on a host that has nothing of the project yet.
# It needs a POSIX shell, GNU coreutils, grep, sed, OpenSSL 3, CPython 3.11 to 3.13. BEFORE you run it, compare the
# sha256 of the card with what a signer reads out to you, and the sha256 of this script with the card's second line.
# Usage: sh first-contact.sh CARD BUNDLE DESTINATION [PYTHON]    (DESTINATION must not exist, its parent must)
#
# Nothing from the medium is run before enough of the card's persons have signed for it: every byte is copied into a
# folder that this script alone has made, checked there, and used from there. A refusal exits 3 and leaves nothing.
set -euf
umask 022
unset IFS CDPATH
export LC_ALL=C PATH=/usr/sbin:/usr/bin:/sbin:/bin

refuse() { printf 'error: %s\nhint: %s\n' "$1" "$2" >&2; exit 3; }
say() { printf '%s\n' "$1" >&2; }
# Runs a program that sees nothing of the caller's environment.
clean() { env -i PATH="$PATH" LC_ALL=C HOME="$work" TMPDIR="$work" UV_NO_CONFIG=1 UV_NO_CACHE=1 "$@" </dev/null; }
# take FILE BYTES COPY: copies a regular file of at most so many bytes.
take() {
    if [ ! -f "$1" ] || [ -L "$1" ]; then refuse "$1 is no regular file, or not there" "copy the bundle again"; fi
    head -c "$(($2 + 1))" "$1" > "$3" || refuse "$1 cannot be copied" "try the medium again, and look for free space"
    [ "$(wc -c < "$3")" -le "$2" ] || refuse "$1 is larger than it may be" "do not use this medium"
}
value() { sed -n "s/^$1 //p" FIRST-CONTACT; }

[ $# -eq 3 ] || [ $# -eq 4 ] || { say "usage: sh first-contact.sh CARD BUNDLE DESTINATION [PYTHON]"; exit 2; }
case $1 in /*) card=$1 ;; *) card=$PWD/$1 ;; esac
case $2 in /*) bundle=$2 ;; *) bundle=$PWD/$2 ;; esac
case $3 in /*) tools=$3 ;; *) tools=$PWD/$3 ;; esac
work=$tools/work
for folder in "$bundle/" "$bundle/blobs" "$bundle/blobs/sha256" "$bundle/FIRST-CONTACT.sig"; do
    if [ ! -d "$folder" ] || [ -L "$folder" ]; then
        refuse "$folder is no folder, or not there" "name a signed bundle: the folder that holds index.json"
    fi
done
case $(openssl version 2>/dev/null || true) in
    "OpenSSL 3."*) ;;
    *) refuse "OpenSSL 3 is not on this host" "install your distribution's package openssl" ;;
esac

# mkdir alone decides: it follows no link and takes no folder that somebody else has made.
mkdir -m 0700 "$tools" || refuse "$tools cannot be made" "name a folder that does not exist yet, in one that does"
trap 'cd / && rm -rf "$tools"' EXIT
trap 'exit 130' HUP INT TERM
mkdir "$work" "$work/wheels" && cd "$work"

python=
for found in ${4:+"$4"} python3 python3.13 python3.12 python3.11; do
    found=$(command -v "$found" || echo false)
    kind=$(clean "$found" -I -S -c 'import sys
print(sys.implementation.name, (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null || true)
    [ "$kind" != "cpython True" ] || { python=$found && break; }
    [ -z "${4:-}" ] || refuse "$4 is not CPython 3.11 to 3.13" "name an interpreter by its whole path"
done
[ -n "$python" ] || refuse "CPython 3.11 to 3.13 is not on this host" "install your distribution's package python3"

# A line of the card that is not of its form, or not in its place, is not printed, and the two then differ.
take "$card" 65536 card
sed -nE '1s/^(sovereign site start v1)$/\1/p; 2s/^([0-9a-f]{64}  first-contact[.]sh)$/\1/p
    3s/^(root sha256:[0-9a-f]{64})$/\1/p; 4s/^(threshold [1-9][0-9]?)$/\1/p
    5,$s/^(key [a-z0-9][a-z0-9._-]{0,62} [0-9a-f]{64})$/\1/p' card > card.read
if ! cmp -s card.read card || [ "$(wc -l < card)" -lt 5 ] || [ -n "$(tail -c 1 card)" ]; then
    refuse "$1 is no card" "compare its sha256 again with what a signer reads out"
fi
root=$(sed -n '3s/^root //p' card) threshold=$(sed -n '4s/^threshold //p' card)
sed -n '5,$s/^key //p' card > keys
[ -z "$(cut -d ' ' -f 1 keys | sort | uniq -d; cut -d ' ' -f 2 keys | sort | uniq -d)" ] ||
    refuse "the card names a person or a key twice" "ask a signer for the card"

take "$bundle/FIRST-CONTACT" 1048576 FIRST-CONTACT
{ printf 'sovereign first contact v1\n' && cat FIRST-CONTACT; } > message
signed=0 who=
while read -r name key; do
    signature=$bundle/FIRST-CONTACT.sig/$name.ed25519
    [ -e "$signature" ] || [ -L "$signature" ] || continue
    take "$signature" 64 signature
    printf '302A300506032B6570032100%s' "$key" | tr a-f A-F | basenc --base16 -d > key.der  # RFC 8410
    clean openssl pkeyutl -verify -rawin -in message -sigfile signature -pubin -keyform DER -inkey key.der >log 2>&1 ||
        refuse "the signature of $name on FIRST-CONTACT is not valid" "do not use this medium"
    signed=$((signed + 1)) who="$who $name"
done < keys
[ "$signed" -ge "$threshold" ] || refuse "FIRST-CONTACT is signed by $signed of $threshold persons:${who:- nobody}" \
    "take a medium that enough of the card's persons have signed; if persons have changed, ask for the new card"
say "signed by$who: release $(value release-name) $(value release-version), number $(value release-number)"

# From here on the text is the signers' word; its names and numbers are still taken in one form only.
[ "$(sed -n 1p FIRST-CONTACT)" = "format 1" ] || refuse "FIRST-CONTACT is of another format" "ask for a newer script"
[ "$(value root)" = "$root" ] || refuse "the release is under another root than the card's" "ask for that root's card"
[ "$(uname -m)" = "$(value machine)" ] || refuse "the release is for $(value machine)" "use a host of that kind"
{ getconf GNU_LIBC_VERSION 2>/dev/null || true; } | sed -n 's/^glibc //p' > glibc
if [ ! -s glibc ] || ! { value glibc && cat glibc; } | sort -CV; then
    refuse "the release needs glibc $(value glibc)" "use a newer distribution"
fi
sed -nE 's/^wheelhouse ([0-9a-f]{64} (0|[1-9][0-9]{0,11}) [A-Za-z0-9][A-Za-z0-9._+!-]*)$/\1/p' FIRST-CONTACT > listing
[ "$(wc -l < listing)" -eq "$(grep -c '^wheelhouse ' FIRST-CONTACT)" ] ||
    refuse "a line of FIRST-CONTACT is malformed" "ask a signer for another release"
while read -r digest size name; do
    take "$bundle/blobs/sha256/$digest" "$size" "wheels/$name"
    printf '%s  wheels/%s\n' "$digest" "$name"
done < listing > sums
sha256sum --quiet --strict -c sums >&2 || refuse "a file is not the one that was signed" "do not use this medium"
wheel=$(sed -n 's/^[^ ]* [^ ]* \(uv-.*[.]whl\)$/\1/p' listing)
clean "$python" -I -S -c 'import shutil, sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as wheel, wheel.open(sys.argv[2]) as source:
    shutil.copyfileobj(source, sys.stdout.buffer)' "wheels/$wheel" "${wheel%-*-*-*}.data/scripts/uv" > uv ||
    refuse "uv is not in its wheel" "ask a signer for another release"
value uv | sed -nE 's/^([0-9a-f]{64}) [0-9]+$/\1  uv/p' | sha256sum --quiet --strict -c >&2 ||
    refuse "uv in its wheel is not the one that was signed" "do not use this medium"
chmod 0700 uv

say "making the environment for $python"
if ! clean ./uv venv --quiet --offline --no-python-downloads --python "$python" "$tools/env" >&2 ||
    ! clean ./uv pip install --quiet --offline --no-index --no-deps --no-build --require-hashes --link-mode copy \
        --python "$tools/env/bin/python" --find-links wheels -r wheels/requirements.txt >&2; then
    refuse "the environment cannot be made for $python" "the release says which interpreters it serves"
fi
say "verifying the whole bundle, post-quantum signatures included"
clean "$tools/env/bin/sovereign" bundle verify "$bundle" --root-fingerprint "$root" >&2
cd / && rm -rf "$work" && chmod 0755 "$tools"
trap - EXIT && printf '%s\n' "$tools/env/bin/sovereign"
