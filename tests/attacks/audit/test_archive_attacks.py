"""An archive holds what the log signed, or is refused; and gives nothing back to a log that is not its own."""

from __future__ import annotations

import hashlib
import json
import shutil
import zlib
from typing import TYPE_CHECKING, Any

import pytest

from appliance.audit.archive import check_archive, write_archive
from appliance.audit.archive_index import NAME
from appliance.audit.client import SyncAuditClient
from appliance.audit.errors import ArchiveError, EntryRefusedError, NoteError
from appliance.audit.keys import CheckpointKeys
from appliance.audit.log import TileLog
from appliance.audit.prove import prove
from appliance.audit.pruning import find_prunable, prune_record
from appliance.audit.restoring import restore_archive
from appliance.audit.server import create_app
from appliance.audit.tiles import encode_entries
from appliance.errors import LogInconsistentError, UsageError
from tests.audit.aged import COUNT, fill, records, steady
from tests.audit.bench import EVERY_ROLE, Bench

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from starlette.types import ASGIApp

    from tests.audit.running import Running

    Serve = Callable[[ASGIApp], Running]

FIRST = "000000000000.vol"


@pytest.fixture
def aged(bench: Bench) -> Bench:
    fill(bench, steady(COUNT + 40))
    return bench


@pytest.fixture
def archive(aged: Bench, tmp_path: Path) -> Path:
    write_archive(aged.directory, tmp_path / "archive", vkeys=aged.vkeys)
    return tmp_path / "archive"


def _prune(bench: Bench) -> int:
    """Prune what may go, through the writer's own code; where what is left begins."""
    stored, old = find_prunable(bench.directory, vkeys=bench.vkeys, days=184)

    log = bench.open()
    (index,) = log.append([prune_record(stored, old, old.end, days=184, actor="uid 0")])
    log.prune(old.end, index)
    bench.close()
    return old.end


def _state(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("span", [(None, None), (0, 256), (256, 1024), (3840, 4096), (512, None)])
def test_an_archive_is_checked_without_the_log(
    aged: Bench, tmp_path: Path, span: tuple[int | None, int | None]
) -> None:
    first, end = span
    out = tmp_path / "out"
    written = write_archive(aged.directory, out, vkeys=aged.vkeys, first=first, end=end)
    assert (written.first, written.end) == (first or 0, end or COUNT)
    shutil.rmtree(aged.directory)
    assert check_archive(out, vkeys=aged.vkeys) == written
    assert written.size == sum(path.stat().st_size for path in out.glob("*.vol"))


def test_large_archives_have_several_volumes(bench: Bench, tmp_path: Path) -> None:
    small = [(f"gateway/{n}", b'{"n":%d}' % n) for n in range(257 * 256)]
    bench.open()
    log = bench.logs[-1]
    log.open()
    for start in range(0, len(small), 8192):
        log.append(small[start : start + 8192])
    bench.close()
    write_archive(bench.directory, tmp_path / "out", vkeys=bench.vkeys)
    assert sorted(path.name for path in (tmp_path / "out").glob("*.vol")) == [FIRST, "000000065536.vol"]
    assert check_archive(tmp_path / "out", vkeys=bench.vkeys).end == 257 * 256


@pytest.mark.parametrize("span", [(1, 256), (0, 300), (512, 512), (0, COUNT + 256), (-256, 256)])
def test_a_range_that_is_not_there_in_whole_bundles_is_refused(
    aged: Bench, tmp_path: Path, span: tuple[int, int]
) -> None:
    with pytest.raises(UsageError, match="cannot be archived"):
        write_archive(aged.directory, tmp_path / "out", vkeys=aged.vkeys, first=span[0], end=span[1])
    assert list(tmp_path.glob("out*")) == []


def test_an_edited_log_is_not_archived(aged: Bench, tmp_path: Path) -> None:
    path = aged.directory / "tile/entries/003"
    path.write_bytes(path.read_bytes().replace(b"analysts", b"analystx", 1))
    with pytest.raises(LogInconsistentError):
        write_archive(aged.directory, tmp_path / "out", vkeys=aged.vkeys)
    assert list(tmp_path.glob("out*")) == []


def _index(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        value = json.loads((folder / NAME).read_bytes())
        change(value)
        (folder / NAME).write_text(json.dumps(value))

    return apply


def _reseal(folder: Path, data: bytes) -> None:
    """The first volume replaced by ``data``, with the index made to fit."""
    (folder / FIRST).write_bytes(data)
    change = {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    _index(lambda value: value["volumes"][0].update(change))(folder)


def _repack(change: Callable[[list[bytes]], list[bytes]]) -> Callable[[Path], None]:
    """Entries changed, and everything in the archive made to fit: sizes, digests, compression."""

    def apply(folder: Path) -> None:
        entries = change([entry for _, entry in records(steady())])
        bundles = [zlib.compress(encode_entries(entries[n : n + 256])) for n in range(0, COUNT, 256)]
        _reseal(folder, b"".join(len(one).to_bytes(4, "big") + one for one in bundles))

    return apply


def _bomb(folder: Path) -> None:
    packed = zlib.compress(bytes(40 << 20), 9)
    _reseal(folder, len(packed).to_bytes(4, "big") + packed)


def _flip(folder: Path) -> None:
    data = bytearray((folder / FIRST).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / FIRST).write_bytes(data)


CHANGES: dict[str, Callable[[Path], object]] = {
    "a flipped bit": _flip,
    "an edited entry": _repack(lambda e: [*e[:9], e[9].replace(b"analysts", b"analystx"), *e[10:]]),
    "two entries swapped": _repack(lambda e: [e[1], e[0], *e[2:]]),
    "two bundles swapped": _repack(lambda e: [*e[256:512], *e[:256], *e[512:]]),
    "an entry twice": _repack(lambda e: [e[0], e[0], *e[2:]]),
    "a bomb": _bomb,
    "a volume cut": lambda folder: _reseal(folder, (folder / FIRST).read_bytes()[:-9]),
    "bytes behind": lambda folder: _reseal(folder, (folder / FIRST).read_bytes() + b"x"),
    "a volume gone": lambda folder: (folder / FIRST).unlink(),
    "a link": lambda folder: (folder / FIRST).rename(folder / "x") and (folder / FIRST).symlink_to(folder / "x"),
    "other positions": _index(lambda value: value.update(first=256, end=COUNT + 256)),
    "fewer entries": _index(lambda value: value.update(end=COUNT - 256)),
    "a hash missing": _index(lambda value: value.update(proof=value["proof"][:-1])),
    "a hash more": _index(lambda value: value.update(proof=[*value["proof"], "A" * 43 + "="])),
    "a path for a name": _index(lambda value: value["volumes"][0].update(name="../000000000000.vol")),
    "a huge size": _index(lambda value: value["volumes"][0].update(size=1 << 60)),
    "more bundles": _index(lambda value: value["volumes"][0].update(bundles=1 << 40)),
    "a later version": _index(lambda value: value.update(schema=2)),
    "no volumes": _index(lambda value: value.update(volumes=[])),
    "no json": lambda folder: (folder / NAME).write_bytes(b"{"),
    "no checkpoint": lambda folder: (folder / "checkpoint").write_bytes(b""),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_archive_is_refused_and_gives_nothing_back(aged: Bench, archive: Path, change: str) -> None:
    _prune(aged)
    CHANGES[change](archive)
    before = aged.snapshot()
    with pytest.raises((ArchiveError, NoteError)):
        check_archive(archive, vkeys=aged.vkeys)
    with pytest.raises((ArchiveError, NoteError)):
        restore_archive(archive, aged.directory, vkeys=aged.vkeys)
    assert aged.snapshot() == before


def test_what_was_pruned_comes_back_as_it_was(aged: Bench, archive: Path) -> None:
    before = aged.snapshot()
    end = _prune(aged)
    with pytest.raises(UsageError, match="was pruned"):
        prove(aged.directory, 7, vkeys=aged.vkeys)
    assert restore_archive(archive, aged.directory, vkeys=aged.vkeys) == end
    after = aged.snapshot()
    assert {name: after[name] for name in before if name.startswith("tile/entries")} == {
        name: data for name, data in before.items() if name.startswith("tile/entries")
    }
    assert aged.verify().pruned is None
    assert prove(aged.directory, 7, vkeys=aged.vkeys)["index"] == 7
    with pytest.raises(UsageError, match="none of the entries"):
        restore_archive(archive, aged.directory, vkeys=aged.vkeys)


def test_only_what_is_missing_is_put_back(aged: Bench, archive: Path) -> None:
    end = _prune(aged)
    restore_archive(archive, aged.directory, vkeys=aged.vkeys)
    (aged.directory / "tile/entries/001").unlink()
    assert aged.verify().pruned is not None
    assert restore_archive(archive, aged.directory, vkeys=aged.vkeys) == 256
    assert end > 512


def test_a_site_s_own_log_gets_them_back_by_its_writer_alone(
    aged: Bench, archive: Path, serve: Serve, tmp_path: Path
) -> None:
    end = _prune(aged)
    app = create_app(TileLog(aged.directory, aged.origin, aged.keys), EVERY_ROLE)
    with SyncAuditClient(serve(app).socket) as client:
        before = aged.snapshot()
        wrong = encode_entries([entry for _, entry in records(steady(256), "gateway/b")])
        for index, bundle in ((0, wrong), (1, b""), (end // 256, wrong), (10**9, wrong)):
            with pytest.raises(EntryRefusedError):
                client.put_back(index, bundle)
        assert aged.snapshot() == before
        assert restore_archive(archive, aged.directory, vkeys=aged.vkeys, put=client.put_back) == end
    assert aged.verify().pruned is None
    assert tmp_path.exists()


@pytest.mark.parametrize("kind", ["another origin", "other keys", "the same keys"])
def test_another_log_s_archive_is_refused(aged: Bench, tmp_path: Path, kind: str) -> None:
    other = Bench(tmp_path / "other", aged.keys)
    if kind == "another origin":
        other.origin = "elsewhere.example/audit"
    if kind == "other keys":
        other.keys = CheckpointKeys.generate()
    log = other.open()
    log.append(records(steady(), "gateway/b"))
    other.close()
    write_archive(other.directory, tmp_path / "archive", vkeys=other.vkeys)
    _prune(aged)
    before = aged.snapshot()
    with pytest.raises((ArchiveError, NoteError)):
        restore_archive(tmp_path / "archive", aged.directory, vkeys=aged.vkeys)
    assert aged.snapshot() == before


def test_an_archive_of_an_older_state_of_the_log_still_fits(aged: Bench, archive: Path) -> None:
    log = aged.open()
    log.append(records(steady(900), "gateway/later"))
    aged.close()
    assert _prune(aged) > 0
    assert restore_archive(archive, aged.directory, vkeys=aged.vkeys) > 0
    aged.verify()
    assert _state(archive)
