"""An auditor with a witness, and the acts that tests do with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from appliance.audit import witness as folders
from appliance.audit.cosigned import Witness, brought_back
from appliance.audit.delivery import check_delivery
from appliance.audit.shelf import shelve
from appliance.audit.witness_keys import WitnessKeys
from appliance.audit.witness_request import make_request

if TYPE_CHECKING:
    from pathlib import Path

    from appliance.audit.cosigned import Witnessed
    from appliance.audit.witness import WitnessFolder
    from tests.audit.bench import Bench

PASSPHRASE = b"several words of the deputy"
QUICK = 2**4
NOW = 1_795_000_000


@dataclass
class Auditor:
    """A witness named ``name`` in ``folder``, who watches the log of ``bench``."""

    bench: Bench
    folder: Path
    name: str = "auditor.example/w1"

    def __post_init__(self) -> None:
        self.keys = WitnessKeys.generate(self.name)
        folders.create(self.folder, self.keys, self.bench.vkeys, self.keys.encode(PASSPHRASE, cost=QUICK))

    @property
    def witness(self) -> Witness:
        return Witness(self.name, self.keys.vkeys())

    def open(self) -> WitnessFolder:
        return folders.load(self.folder)

    def cosign(self, *, now: int = NOW) -> str:
        folder = self.open()
        return folder.cosign(folder.examine(self.bench.directory), self.keys, now)

    def cosign_request(self, *, now: int = NOW) -> str:
        folder = self.open()
        request = make_request(self.bench.directory, folder.size, vkeys=self.bench.vkeys)
        return folder.cosign(folder.examine_request(request.encode()), self.keys, now)

    def bring_back(self, cosigned: str) -> tuple[Witnessed, ...]:
        data, bench = cosigned.encode(), self.bench
        check_delivery(bench.directory, data, log_keys=bench.vkeys, witnesses=[self.witness])
        shelve(bench.directory, data, bench.vkeys)
        return brought_back(bench.directory, bench.vkeys, [self.witness])

    def state(self) -> dict[str, bytes]:
        files = (path for path in sorted(self.folder.rglob("*")) if path.is_file())
        return {str(path.relative_to(self.folder)): path.read_bytes() for path in files}


@pytest.fixture
def auditor(bench: Bench, tmp_path: Path) -> Auditor:
    return Auditor(bench, tmp_path / "witness")
