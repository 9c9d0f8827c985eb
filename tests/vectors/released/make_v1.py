"""Made `v1/`, once: see README.md beside this file before you think of running it again."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path

from airgap_bundle.archive import Entry, write_tar
from airgap_bundle.digest import sha256
from airgap_bundle.metadata import format_time
from airgap_bundle.trust_state import fingerprint
from tests.bundles import NOW, WHEELS, Draft, root_bytes, sign
from tests.unit.models.small_release import gguf
from tests.vectors.cases.desk import first_use
from tests.vectors.tree import dumps

HERE = Path(__file__).parent / "v1"


def tar() -> bytes:
    """An archive in the format's one spelling."""
    out = io.BytesIO()
    write_tar(
        out, [Entry("bin", None), Entry("bin/kc.sh", b"#!/bin/sh\n", executable=True), Entry("lib/" + "n" * 120, b"x")]
    )
    return out.getvalue()


def make() -> None:
    """Write the bundle, what it must answer, and the digest of every file."""
    files = {
        "runtime": WHEELS,
        "keycloak": {"keycloak.tar": tar()},
        "tiny-model": {"model.gguf": gguf(), "chat_template.jinja": b"{{ prompt }}", "LICENCE.txt": b"as you like\n"},
        "policy": {"models.yaml": b"schema: 1\n"},
    }
    HERE.mkdir()
    sign(Draft(files=files).write(HERE / "bundle"), "architect", "custodian", "release")
    given = {"operation": "verify", "now": format_time(NOW), "site": first_use(fingerprint(root_bytes()))}
    expect = {"verdict": "accepted", "freshness": "pass"}
    about = {
        "about": "a whole release of format version 1",
        "rules": ["reader-order"],
        "given": given,
        "expect": expect,
    }
    (HERE / "expect.json").write_text(dumps(about))
    paths = sorted(path for path in HERE.rglob("*") if path.is_file())
    lines = (f"{sha256(path.read_bytes()).hex}  {path.relative_to(HERE).as_posix()}\n" for path in paths)
    (HERE / "SHA256SUMS").write_text("".join(lines))


if __name__ == "__main__":
    os.umask(0o022)
    if HERE.exists():
        sys.exit("error: v1 exists and is not made again\nhint: read tests/vectors/released/README.md")
    make()
