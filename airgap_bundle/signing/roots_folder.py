"""A folder of roots, ``1.root.json`` to ``N.root.json``, as whoever keeps them has it; the last may be a draft."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from airgap_bundle import durable
from airgap_bundle.chain import MAX_ROOTS
from airgap_bundle.errors import SigningError, StoreError
from airgap_bundle.metadata import MAX_METADATA_BYTES
from airgap_bundle.signing.described import follow_roots
from airgap_bundle.signing.root_draft import RootDraft

if TYPE_CHECKING:
    from pathlib import Path

_NAME = re.compile(r"([1-9][0-9]{0,8})\.root\.json", re.ASCII)


def read_folder(folder: Path) -> dict[int, bytes]:
    """Every root file in ``folder``, maybe none, ascending by its name's version. Raises ``StoreError``."""
    try:
        found = {int(match[1]): path for path in folder.iterdir() if (match := _NAME.fullmatch(path.name))}
    except OSError as error:
        raise StoreError(f"{folder} cannot be read: {error.strerror}", "name the folder of the roots") from error
    if len(found) > MAX_ROOTS:
        raise SigningError(f"{folder} holds more than {MAX_ROOTS} roots")
    return {version: read_root(found[version]) for version in sorted(found)}


def read_root(path: Path) -> bytes:
    """The bytes of one root file, capped. Raises ``StoreError``."""
    try:
        with path.open("rb") as stream:
            return stream.read(MAX_METADATA_BYTES + 1)
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}") from error


def open_draft(path: Path) -> RootDraft:
    """The draft in the file ``path``, whose name says its version, with the roots that lie beside it.

    Raises ``SigningError`` and ``StoreError``.
    """
    match = _NAME.fullmatch(path.name)
    if match is None:
        raise SigningError(f"{path} is not named as a root is", "a root's file is named N.root.json, by its version")
    data = read_root(path)
    history = {version: other for version, other in read_folder(path.parent).items() if version < int(match[1])}
    draft = RootDraft(history, data)
    if draft.metadata.signed.version != int(match[1]):
        raise SigningError(
            f"{path} holds root {draft.metadata.signed.version}", "a root's file is named by its version"
        )
    return draft


def complete_roots(folder: Path) -> dict[int, bytes]:
    """The roots in ``folder``, every one complete. Raises ``SigningError`` for a draft, ``VerificationError`` else."""
    roots = read_folder(folder)
    if not roots:
        raise SigningError(f"{folder} holds no root", "`sovereign trust init` makes the first")
    last = max(roots)
    draft = RootDraft({version: data for version, data in roots.items() if version < last}, roots[last])
    progress = draft.progress()
    if not progress.complete:
        raise SigningError(
            f"{last}.root.json is a draft: {progress}", "let them sign it, or take the file away if it is given up"
        )
    follow_roots(roots)
    return roots


def write_draft(folder: Path, draft: RootDraft) -> Path:
    """Put ``draft`` into ``folder``, durably, in place of its former state. Raises ``StoreError``."""
    path = folder / f"{draft.metadata.signed.version}.root.json"
    durable.replace(path, draft.data)
    return path
