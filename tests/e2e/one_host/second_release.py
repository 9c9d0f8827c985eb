"""The next release for the journey's site: the same inputs under the next number, and another note in its policy.

It is built and signed by the commands that people use, from a description of its own; a delta carries what differs.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from demo.release import SIGNERS
from demo.workspace import REPOSITORY, sovereign

if TYPE_CHECKING:
    from pathlib import Path

    from demo.workspace import Workspace

VERSION = "1.1.0"
FOLDER = "next"
_SOURCES = REPOSITORY / "sources"
_NOTE = "\n# Read again by the officers before release 1.1.0; nothing is decided otherwise.\n"
_CHANGES = (
    ("version: 1.0.0", f"version: {VERSION}"),
    ("number: 1", "number: 2"),
    ("project: ..", f"project: {REPOSITORY}"),
)


def make(workspace: Workspace, lock: Path) -> Path:
    """Lay the signed bundle ``next/bundle`` beside the first; ``lock`` is the first release's."""
    folder = workspace.root / FOLDER
    description = folder / "sources" / "release.yaml"
    description.parent.mkdir(mode=0o755, parents=True)
    text = (_SOURCES / description.name).read_text()
    for before, after in _CHANGES:
        assert before in text, before
        text = text.replace(before, after)
    description.write_text(text)
    known = {**json.loads(lock.read_text()), "version": VERSION}
    description.with_suffix(".lock").write_text(json.dumps(known))
    for name in ("sources/models", "sources/native", "requirements"):  # what the description names by its place
        (folder / name).symlink_to(REPOSITORY / name)
    policy = folder / "policies" / "models.yaml"
    policy.parent.mkdir()
    policy.write_text((REPOSITORY / "policies" / policy.name).read_text() + _NOTE)
    bundle = folder / "bundle"
    sovereign("bundle", "build", "--release", description, "--out", bundle)
    phrase, keys = workspace.passphrase_file("keys"), workspace.keys
    roots = [option for number in (1, 2) for option in ("--root", keys / f"{number}.root.json")]
    for name, more in ((SIGNERS[0], roots), (SIGNERS[2], ()), ("release", ())):
        sovereign("bundle", "sign", bundle, "--key", keys / f"{name}.key", *more, passphrase=phrase)
    return bundle
