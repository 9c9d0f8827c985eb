"""Killed in the middle, as by a power cut: what was good is kept, the rest is done again, no half has a name."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from airgap_bundle.importer import import_release
from airgap_bundle.media.join import join
from airgap_bundle.media.pack import pack
from airgap_bundle.media.random_access import FileBytes
from airgap_bundle.media.unpack import unpack
from airgap_bundle.trust_state import fingerprint
from airgap_bundle.verify import verify
from tests.bundles import NOW, make, root_bytes, tree, trust
from tests.media_sets import FILES, PART, split_set

ROOT = fingerprint(root_bytes())
KILLED = """
import os, signal, sys
from datetime import datetime
from pathlib import Path
from airgap_bundle.importer import import_release
from airgap_bundle.media.join import join
from airgap_bundle.media.unpack import unpack
from airgap_bundle.trust_state import TrustState

def die(done, total):
    if done > total // 2:
        os.kill(os.getpid(), signal.SIGKILL)

act, source, out, root, now = sys.argv[1:]
source, out, now = Path(source), Path(out), datetime.fromisoformat(now)
trust = TrustState.expecting(root)
if act == "join":
    join([source], out, trust, now=now, progress=die)
elif act == "unpack":
    unpack(source.open("rb"), out, trust, now=now, progress=die)
else:
    import_release(source, out / "trust", out / "store", now=now, root_fingerprint=root, progress=die)
"""


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("killed") / "bundle", files=FILES)


def killed(act: str, source: Path, out: Path) -> None:
    """Run ``act`` in a process of its own, which is killed half-way."""
    command = [sys.executable, "-c", KILLED, act, str(source), str(out), ROOT, NOW.isoformat()]
    done = subprocess.run(command, cwd=Path(__file__).parents[3], check=False)
    assert done.returncode == -signal.SIGKILL


def test_a_killed_join_goes_on_with_the_next_piece(bundle: Path, tmp_path: Path) -> None:
    split_set(bundle, tmp_path / "set")
    pack(bundle, tmp_path / "whole.pack")
    out = tmp_path / "joined.pack"
    killed("join", tmp_path / "set", out)
    assert not out.exists()
    read = []

    class Counting(FileBytes):
        def read_at(self, offset: int, count: int) -> bytes:
            read.append(count)
            return super().read_at(offset, count)

    assert join([tmp_path / "set"], out, trust(), now=NOW, open_part=Counting).done
    assert out.read_bytes() == (tmp_path / "whole.pack").read_bytes()
    assert 0 < sum(read) <= out.stat().st_size // 2 + PART


def test_a_killed_unpacking_goes_on(bundle: Path, tmp_path: Path) -> None:
    pack(bundle, tmp_path / "whole.pack")
    out = tmp_path / "out"
    killed("unpack", tmp_path / "whole.pack", out)
    assert not out.exists()
    with (tmp_path / "whole.pack").open("rb") as stream:
        unpack(stream, out, trust(), now=NOW)
    assert {path.removeprefix(str(out)): what for path, what in tree(out).items()} == {
        path.removeprefix(str(bundle)): what for path, what in tree(bundle).items()
    }
    assert verify(out, trust(), now=NOW).ok


@pytest.mark.parametrize("form", ["packed", "parts"])
def test_a_killed_import_from_any_form_goes_on(bundle: Path, tmp_path: Path, form: str) -> None:
    source = tmp_path / form
    if form == "packed":
        pack(bundle, source)
    else:
        split_set(bundle, source)
    (tmp_path / "site").mkdir()
    killed("import", source, tmp_path / "site")
    assert not list((tmp_path / "site").glob("trust/state-*"))
    where = (tmp_path / "site/trust", tmp_path / "site/store")
    assert import_release(source, *where, now=NOW, root_fingerprint=ROOT).version == "1.0.0"
