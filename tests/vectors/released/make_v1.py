"""Made `v1/` and `v1-models/`, once: see README.md beside this file before you think of running it again."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path

from airgap_bundle.archive import Entry, write_tar
from airgap_bundle.digest import sha256
from airgap_bundle.metadata import format_time
from airgap_bundle.trust_state import fingerprint
from tests.bundles import NOW, WHEELS, Draft, sign
from tests.model_bundles import OFFICERS, granting_root
from tests.model_bundles import sign as models_by
from tests.unit.models.small_release import gguf
from tests.vectors.cases.desk import first_use
from tests.vectors.tree import dumps

HERE = Path(__file__).parent / "v1"
MODELS = Path(__file__).parent / "v1-models"


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
    _describe(HERE, "verify", "a whole release of format version 1")


def make_models() -> None:
    """As ``make``, of a bundle of models for a site that runs ``v1``."""
    chain = {1: (HERE / "bundle/metadata/1.root.json").read_bytes(), 2: granting_root()}
    MODELS.mkdir()
    files = {"tiny-model": {"model.gguf": gguf(data=bytes(range(64))), "chat_template.jinja": b"{{ another }}"}}
    models_by(Draft(version="1.0.1", files=files).write(MODELS / "bundle"), *OFFICERS, chain=chain)
    _describe(MODELS, "verify-models", "a bundle of models of format version 1, under a grant that it brings")


def _describe(folder: Path, operation: str, about: str) -> None:
    root = (folder / "bundle/metadata/1.root.json").read_bytes()
    given = {"operation": operation, "now": format_time(NOW), "site": first_use(fingerprint(root))}
    expect = {"verdict": "accepted", "freshness": "pass"}
    text = {"about": about, "rules": ["reader-order"], "given": given, "expect": expect}
    (folder / "expect.json").write_text(dumps(text))
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    lines = (f"{sha256(path.read_bytes()).hex}  {path.relative_to(folder).as_posix()}\n" for path in paths)
    (folder / "SHA256SUMS").write_text("".join(lines))


if __name__ == "__main__":
    os.umask(0o022)
    if HERE.exists() and MODELS.exists():
        sys.exit("error: v1 exists and is not made again\nhint: read tests/vectors/released/README.md")
    if not HERE.exists():
        make()
    if not MODELS.exists():
        make_models()
