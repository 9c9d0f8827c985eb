"""Figures of blocks that were counted before, in a folder of whoever reads the log: so that a report reads what is new.

An entry lies under its block's Merkle root and the rules of counting, and carries a MAC over both and its figures, by a
key that lies in the folder: what was damaged, renamed, counted by other rules or brought from another folder is not
believed, and is counted again. What is trusted is the folder, which must be the reader's own: whoever can write there
as the reader can make a reader believe anything. What the writer counts for the auditors' page lies in a folder of its
own, and is the site's word; a report of an auditor's never reads that.

Figures hold pseudonyms, as the log does, and nothing that is not in the log.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import shutil
import stat
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from airgap_bundle import durable
from airgap_bundle.errors import StoreError
from appliance.audit import blocks, counting, tally, tallying
from appliance.audit.regular_file import read_regular
from appliance.audit.tally import Figures
from appliance.errors import LogInconsistentError, UsageError

if TYPE_CHECKING:
    from appliance.audit.blocks import Days

KEY = "key"
_KEY_BYTES = MAC_BYTES = 32
_MAX_BYTES = 64 << 20


@dataclass(frozen=True)
class TallyCache:
    """The folder ``directory``, opened; see ``open_cache``."""

    directory: Path
    key: bytes

    def has(self, root: bytes) -> bool:
        """Whether there may be figures of the block with this root: nothing of them was looked at."""
        return self._path(root).exists()

    def get(self, root: bytes) -> Days | None:
        """The figures of the block with this root; None when they are not known, or not to be believed."""
        try:
            data = read_regular(self._path(root), _MAX_BYTES)
        except (OSError, LogInconsistentError):
            return None
        mac, body = data[:MAC_BYTES], data[MAC_BYTES:]
        if not hmac.compare_digest(mac, self._mac(root, body)):
            return None
        return {day: Figures.of_plain(value) for day, value in json.loads(body).items()}

    def put(self, root: bytes, days: Days) -> None:
        """Keep ``days``. A disk that refuses costs the next report its time, and no report anything else."""
        body = json.dumps({day: figures.plain() for day, figures in days.items()}, separators=(",", ":")).encode()
        mine = self._path(root)
        try:
            durable.replace(mine, self._mac(root, body) + body)
            for other in self.directory.glob(f"{root.hex()}-*"):
                if other != mine:  # counted by an earlier release: it would stay for ever
                    other.unlink()
        except (StoreError, OSError):
            return

    def _path(self, root: bytes) -> Path:
        return self.directory / f"{root.hex()}-{rules()[:8].hex()}"

    def _mac(self, root: bytes, body: bytes) -> bytes:
        return hmac.digest(self.key, b"tally 1\0" + root + rules() + body, "sha256")


def own_folder() -> Path:
    """Where the caller's figures lie unless another folder is named (XDG Base Directory). Raises ``RuntimeError``."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if base.startswith("/") else Path.home() / ".cache") / "sovereign" / "audit"


def forget_own() -> None:
    """Remove the caller's figures, of all logs: they are counted anew. What cannot be removed stays."""
    with suppress(OSError, RuntimeError):
        folder = own_folder()
        if folder.is_dir() and not folder.is_symlink():
            shutil.rmtree(folder)
            folder.parent.rmdir()  # where nothing else of ours lies


def open_cache(directory: Path) -> TallyCache:
    """The cache in ``directory``, made if it is not there.

    Raises ``UsageError`` when others than the caller may write there, or when it cannot be made.
    """
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = directory.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
            raise UsageError(
                f"the folder of figures {directory} is not yours alone to write",
                "name another with --cache, or remove it: it is made anew",
            )
        return TallyCache(directory, _key(directory / KEY))
    except OSError as error:
        cause = f"the folder of figures {directory} cannot be used: {error.strerror}"
        raise UsageError(cause, "name it with --cache") from error


def _key(path: Path) -> bytes:
    with suppress(FileExistsError):
        durable.write_new(path, os.urandom(_KEY_BYTES), 0o600)
    key = read_regular(path, _KEY_BYTES + 1)
    if len(key) != _KEY_BYTES:
        path.unlink()
        return _key(path)
    return key


@cache
def rules() -> bytes:
    """What decides how entries are counted: the modules that do it, by digest."""
    digest = hashlib.sha256()
    for module in (blocks, counting, tallying, tally):
        digest.update(hashlib.sha256(Path(str(module.__file__)).read_bytes()).digest())
    return digest.digest()
