"""A recovery key that costs little to open, a site's signer, and a backup of nothing much."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from airgap_bundle import keys
from airgap_bundle.digest import sha256
from appliance.install.backup import recovery_key, statement
from appliance.install.backup.folder import new_folder, seal_file

if TYPE_CHECKING:
    from pathlib import Path

    from airgap_bundle.keys import Signer
    from appliance.install.backup.recovery_key import RecoveryKey

PHRASE = b"correct horse battery"
MADE = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


@pytest.fixture
def recovery_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(recovery_key, "_COSTS", {"n": 2**10, "r": 8, "p": 1})
    path = tmp_path / "recovery.key"
    recovery_key.make_recovery_key(path, lambda: PHRASE)
    return path


@pytest.fixture
def key(recovery_file: Path) -> RecoveryKey:
    return recovery_key.open_recovery_key(recovery_file, lambda: PHRASE)


@dataclass
class Written:
    """Writes backups of made-up content for the site ``ministry``."""

    base: Path
    key: RecoveryKey
    signer: Signer

    def folder(self, name: str, type_: str, *, size: int = 7, pruned: int = 0, site: str = "ministry") -> Path:
        parts = statement.APART if type_ == statement.SUBJECT_KEYS_TYPE else statement.PARTS
        out = self.base / name
        with new_folder(out) as folder:
            recipients = [self.key.recipient]
            files = tuple(
                seal_file(folder, part, recipients, lambda sink, part=part: sink.write(part.encode())) for part in parts
            )
            told = statement.Statement(site, MADE, "1.0.0", sha256(b"release"), size, "AAAA", pruned, (), (), files)
            (folder / statement.STATEMENT).write_bytes(statement.sign(told, type_, self.signer))
        return out


@pytest.fixture
def written(tmp_path: Path, key: RecoveryKey) -> Written:
    return Written(tmp_path, key, keys.generate("ministry"))
