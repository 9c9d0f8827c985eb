"""A backup's folder: files sealed into it one by one, and read again after every byte of it was checked.

What is being written has another name until it is whole, so that a folder with a backup's name is one.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, cast

from airgap_bundle import durable
from airgap_bundle.digest import Digest, sha256, sha256_stream
from airgap_bundle.errors import DigestMismatchError, MalformedError, MissingFileError, StoreError, UnlistedFileError
from airgap_bundle.statement import MAX_STATEMENT_BYTES
from appliance.errors import DeploymentError, UsageError
from appliance.install.backup.sealed import SealedReader, SealingWriter
from appliance.install.backup.statement import SEALED, STATEMENT, SealedFile, Statement, verified
from appliance.packs.files import read_regular

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from airgap_bundle.keys import PublicSigner
    from appliance.install.backup.recovery_key import Recipient, RecoveryKey


@contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """A folder (0700) that gets the name ``out``, durably, when the block ends, and is gone when it raises.

    Raises ``UsageError`` where ``out`` exists or cannot be made.
    """
    if out.exists() or out.is_symlink():
        raise UsageError(f"{out} exists", "name a new folder")
    partial = out.with_name(out.name + durable.PARTIAL)
    try:
        shutil.rmtree(partial, ignore_errors=True)  # what a power cut left
        partial.mkdir(mode=0o700)
    except OSError as error:
        raise UsageError(f"{out} cannot be written: {error.strerror}", "name a new folder with room") from error
    try:
        yield partial
        durable.sync_directory(partial)
        partial.rename(out)
        durable.sync_directory(out.parent)
    except OSError as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise DeploymentError(f"{out} cannot be written: {error.strerror}", "check free space and rights") from error
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def seal_file(
    folder: Path, name: str, recipients: Sequence[Recipient], write: Callable[[BinaryIO], object]
) -> SealedFile:
    """Seal what ``write`` writes as ``name``; durable. Raises what ``write`` does, and ``OSError``."""
    with (folder / f"{name}{SEALED}").open("xb") as file:
        sink = _Hashed(file)
        sealing = SealingWriter(cast("BinaryIO", sink), name, recipients)
        try:
            write(cast("BinaryIO", sealing))
        except BaseException:
            sealing.abandon()
            raise
        sealing.close()
        file.flush()
        os.fsync(file.fileno())
    return SealedFile(name, sink.size, Digest(f"sha256:{sink.hash.hexdigest()}"), sealing.header_digest)


class _Hashed:
    """Passes on what is written and hashes it: what is signed is what left here, whatever the medium gives back."""

    def __init__(self, sink: BinaryIO) -> None:
        self._sink, self.hash, self.size = sink, hashlib.sha256(), 0

    def write(self, data: bytes) -> int:
        self.hash.update(data)
        self.size += len(data)
        return self._sink.write(data)


@dataclass(frozen=True)
class Backup:
    """A folder whose statement is the site's and whose files are what it lists; ``digest`` is the statement's."""

    folder: Path
    statement: Statement
    digest: Digest

    @contextmanager
    def open(self, name: str, key: RecoveryKey) -> Iterator[BinaryIO]:
        """The content of ``name``. Raises ``RefusedError`` where it does not open; read it to its end to know all."""
        path = self.folder / f"{name}{SEALED}"
        header = next(file.header for file in self.statement.files if file.name == name)
        try:
            source = path.open("rb")
        except OSError as error:
            raise StoreError(f"{path} cannot be opened: {error.strerror}", "use another copy of the backup") from error
        with source:
            yield cast("BinaryIO", io.BufferedReader(SealedReader(source, name, key, header), 1 << 20))


def open_folder(
    folder: Path, type_: str, site_keys: Sequence[PublicSigner], progress: Callable[[int, int], None]
) -> Backup:
    """The backup in ``folder``, every byte of it hashed; ``progress`` gets bytes done and in all.

    Raises a ``VerificationError`` for what is not as signed, ``StoreError`` when the medium fails, ``UsageError`` where
    there is no backup.
    """
    try:
        data = read_regular(folder / STATEMENT, MAX_STATEMENT_BYTES)
        found = {path.name for path in folder.iterdir()}
    except OSError as error:
        raise UsageError(f"there is no backup in {folder}: {error.strerror}", "name the folder itself") from error
    except ValueError as error:
        raise MalformedError(f"{folder / STATEMENT} {error}", "use another copy of the backup") from error
    statement = verified(data, type_, site_keys)
    listed = {f"{file.name}{SEALED}" for file in statement.files}
    if extra := sorted(found - listed - {STATEMENT}):
        raise UnlistedFileError(f"{folder / extra[0]} is not in the backup's statement", "remove it")
    total, read = sum(file.size for file in statement.files), 0

    def on_bytes(count: int) -> None:
        nonlocal read
        read += count
        progress(read, total)

    for listed_file in statement.files:
        _check(folder, listed_file, on_bytes)
    return Backup(folder, statement, sha256(data))


def _check(folder: Path, file: SealedFile, on_bytes: Callable[[int], None]) -> None:
    path = folder / f"{file.name}{SEALED}"
    try:
        if path.is_symlink() or not path.is_file():
            raise MissingFileError(f"{path} is missing", "use another copy of the backup")
        with path.open("rb") as stream:
            digest, size = sha256_stream(stream, on_bytes=on_bytes)
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}", "use another copy of the backup") from error
    if (digest, size) != (file.sha256, file.size):
        raise DigestMismatchError(f"{path} is not what was signed", "use another copy of the backup")
