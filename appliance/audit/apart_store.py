"""The texts that are kept apart: sealed files in the log's folder, named by the digest of their bytes.

``apart/HH/DIGEST`` holds one text behind its 32 bytes of salt, in AES-256-GCM under the data key of whose text it is.
That key lies in ``apart/keys`` or, where it is a person's, in ``apart/people``, wrapped under a key that is derived
from the log's Ed25519 key. To erase somebody is to destroy their key, and the salts with it: an empty file in its place
says so, and what comes later of them is not kept. No backup holds ``apart/people``.

Salt, nonce and file follow from the data key, the entry's id and the text: what is appended once more after a crash is
the same file and the same entry. A file is durable before the entry that names it, and whole or absent: a key that was
cut to nothing would say that somebody was erased, a text that was cut would be refused by a restore. One thread owns
the store.
Everything raises ``OSError`` unchanged.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from appliance.audit.apart import (
    APART,
    KEYS,
    MAX_FILE_BYTES,
    PEOPLE,
    SEALED_KEY_BYTES,
    Item,
    Long,
    items_of,
    kept_in,
    set_apart,
    subject_of,
    told,
)
from appliance.audit.apart_budget import Budget
from appliance.audit.commitment import SALT_BYTES, commit, opens
from appliance.audit.entry import encode_entry
from appliance.audit.erased import erased_in
from appliance.audit.errors import ApartError
from appliance.audit.regular_file import read_regular
from appliance.audit.tiles import WIDTH, TileReader
from appliance.errors import LogInconsistentError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from appliance.audit.commit import Record
    from appliance.audit.ocsf import Event
    from appliance.audit.storage import Storage

LATE = 4096
"""Entries that one commit holds at most (``writer``): so far back a crash can have left a key that is to be gone."""
KEY_BYTES, NONCE_BYTES = 32, 12
_PERSON = re.compile(r"[0-9a-f]{32}")


class ApartStore:
    """The texts of the log in ``directory``, for its writer. ``clock`` is monotonic seconds."""

    def __init__(
        self, directory: Path, key: Ed25519PrivateKey, storage: Storage, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._directory = directory
        self._storage = storage
        derived = HKDF(SHA256(), KEY_BYTES, None, b"sovereign/audit/apart/v1")
        self._wrapping = AESGCM(derived.derive(key.private_bytes_raw()))
        self._budget = Budget(directory, clock)

    def keep(self, entry_id: str, event: Event, sender: int | None) -> Record:
        """The record of ``event`` with its long texts kept, durably. Raises as ``set_apart``."""
        made, longs = set_apart(event, entry_id)
        if longs:
            subject = subject_of(event)
            new = [] if (self._directory / _key_path(subject)).exists() else [SEALED_KEY_BYTES]
            may = self._budget.spend(sender, [*new, *(one.size for one in longs)])  # else not even a key is made
            key = self._key_to_keep(subject) if may else None
            items = [self._kept(key, entry_id, one) if key else Item(one.at, one.size) for one in longs]
            made = told(made, items)
        return entry_id, encode_entry(made, entry_id)

    def read(self, entry_id: str, event: Event) -> list[tuple[Item, bytes, str]]:
        """What is kept apart of a logged entry: each item with its salt and text.

        Raises ``ApartError`` naming what is missing, erased, or not what the entry commits to.
        """
        try:
            items = items_of(event)
        except ValueError as error:
            raise ApartError(str(error)) from error
        key = self._key(subject_of(event))
        if key is None:
            raise ApartError("the key to what is kept apart is gone", "it was erased, or was in no backup")
        return [self._opened(key, entry_id, item) for item in items if item.file]

    def forget(self, subject: str) -> None:
        """Destroy the key of ``subject``, whether there is one or not. Idempotent."""
        path = self._directory / _key_path(subject)
        with suppress(FileNotFoundError):
            size = path.stat().st_size
            descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
            try:
                os.pwrite(descriptor, bytes(size), 0)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        self._storage.replace(_key_path(subject), b"")

    def forget_again(self, size: int, pruned: int) -> None:
        """Destroy the keys of whom the log's last entries say that they were erased, where a crash came in between.

        The log has ``size`` entries, all in tiles; before ``pruned`` they may be gone.
        """
        if not (self._directory / PEOPLE).is_dir():
            return
        tiles, found = TileReader(self._directory, size), set[str]()
        for start in range(max(size - LATE, pruned, 0) // WIDTH * WIDTH, size, WIDTH):
            with suppress(LogInconsistentError):  # a damaged tile is for `audit verify` to name
                found.update(erased_in(tiles.entries(start // WIDTH)))
        for subject in found:
            path = self._directory / _key_path(subject)
            if path.exists() and path.stat().st_size:
                self.forget(subject)

    def discard(self, entries: Iterable[bytes]) -> None:
        """The files of ``entries`` go, before they are pruned themselves."""
        for _, item in kept_in(entries):
            if path := file_path(item):
                self._storage.remove(path)

    def _key_to_keep(self, subject: str) -> bytes | None:
        """The data key of ``subject``, made where there is none; None where it was destroyed, or does not open.

        A damaged key must not keep anybody's entries out of the log.
        """
        name = _key_path(subject)
        if (self._directory / name).exists():
            with suppress(ApartError):
                return self._key(subject)
            return None
        key, nonce = secrets.token_bytes(KEY_BYTES), secrets.token_bytes(NONCE_BYTES)
        self._storage.replace(name, nonce + self._wrapping.encrypt(nonce, key, name.encode()))
        return key

    def _key(self, subject: str) -> bytes | None:
        """The data key of ``subject``; None where it was destroyed, or is not there. Raises ``ApartError``."""
        name = _key_path(subject)
        try:
            sealed = read_regular(self._directory / name, SEALED_KEY_BYTES + 1)
        except FileNotFoundError:
            return None
        except LogInconsistentError as error:
            raise ApartError(f"{name} is no key", "it was changed") from error
        if not sealed.strip(b"\0"):
            return None
        try:
            return self._wrapping.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], name.encode())
        except (InvalidTag, ValueError) as error:
            raise ApartError(f"{name} does not open", "it was changed, or is of another log's key") from error

    def _kept(self, key: bytes, entry_id: str, long: Long) -> Item:
        text, place = long.text.encode(), _place(entry_id, long.at)
        salt = hmac.digest(key, b"salt\n" + place + text, "sha256")
        nonce = hmac.digest(key, b"nonce\n" + place + text, "sha256")[:NONCE_BYTES]
        sealed = nonce + AESGCM(key).encrypt(nonce, salt + text, place)
        item = Item(long.at, long.size, commit(text, salt), f"sha256:{hashlib.sha256(sealed).hexdigest()}")
        path = file_path(item)
        assert path is not None
        if not _holds(self._directory, item):
            self._storage.replace(path, sealed)
        return item

    def _opened(self, key: bytes, entry_id: str, item: Item) -> tuple[Item, bytes, str]:
        if trouble := trouble_with(self._directory, item):
            raise ApartError(trouble)
        sealed = read_regular(self._directory / str(file_path(item)), MAX_FILE_BYTES)
        try:
            plain = AESGCM(key).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], _place(entry_id, item.at))
        except (InvalidTag, ValueError) as error:
            raise ApartError(f"the file of the text at {item.at} does not open", "its key was made anew") from error
        salt, text = plain[:SALT_BYTES], plain[SALT_BYTES:]
        if not item.commitment or not opens(item.commitment, text, salt):
            raise ApartError(f"the text at {item.at} is not what the entry commits to")
        return item, salt, text.decode()


def file_path(item: Item) -> str | None:
    """Where the file of ``item`` lies in the log's folder; None where the entry names none that could."""
    digest = (item.file or "").removeprefix("sha256:")
    return f"{APART}/{digest[:2]}/{digest}" if re.fullmatch(r"[0-9a-f]{64}", digest) else None


def trouble_with(directory: Path, item: Item) -> str | None:
    """What is wrong with the file of ``item``: missing, or other bytes. Without any key."""
    path = file_path(item)
    if path is None:
        return f"the text at {item.at} is kept in no file"
    try:
        data = read_regular(directory / path, MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        return f"{path} is missing, the text at {item.at}"
    except (OSError, LogInconsistentError):
        return f"{path} cannot be read as a file, the text at {item.at}"
    if f"sha256:{hashlib.sha256(data).hexdigest()}" != item.file:
        return f"{path} was changed, the text at {item.at}"
    return None


def _holds(directory: Path, item: Item) -> bool:
    return trouble_with(directory, item) is None


def _key_path(subject: str) -> str:
    folder = PEOPLE if _PERSON.fullmatch(subject) else KEYS
    return f"{folder}/{hashlib.sha256(subject.encode('utf-8', 'replace')).hexdigest()[:32]}"


def _place(entry_id: str, at: str) -> bytes:
    return f"{len(entry_id)}\n{entry_id}\n{at}\n".encode("utf-8", "replace")
