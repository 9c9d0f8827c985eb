"""Nobody takes entries out of the log before six months: not by asking, not by hand, not with the writer's keys.

What was pruned lawfully leaves every proof as it was, and comes back from archives of this very log alone.
"""

from __future__ import annotations

import os
import shutil
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from appliance.audit import events
from appliance.audit.client import SyncAuditClient
from appliance.audit.entry import encode_entry
from appliance.audit.errors import EntryPrunedError, EntryRefusedError, LogTamperedError, NotYoursError, TooYoungError
from appliance.audit.events_operation import log_pruned
from appliance.audit.export import export_range
from appliance.audit.log import TileLog
from appliance.audit.prove import prove
from appliance.audit.pruned import ENTRY, PRUNED, encode_pruned
from appliance.audit.pruning import find_prunable
from appliance.audit.roles import GATEWAY, OPERATOR, Roles
from appliance.audit.server import create_app
from appliance.audit.tally_cache import open_cache
from appliance.audit.tiles import encode_entries
from appliance.audit.usage import build_report
from appliance.errors import LogInconsistentError
from tests.audit.aged import COUNT, START, STEP, fill, record, records, steady
from tests.audit.auditor import Auditor
from tests.audit.bench import EVERY_ROLE, Bench

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from starlette.types import ASGIApp

    from tests.audit.running import Running

    Serve = Callable[[ASGIApp], Running]


def _serve(bench: Bench, serve: Serve, roles: Roles = EVERY_ROLE, days: int = 184) -> SyncAuditClient:
    app = create_app(TileLog(bench.directory, bench.origin, bench.keys), roles, retention_days=days)
    return SyncAuditClient(serve(app).socket)


def _bundles(bench: Bench) -> list[str]:
    return [name for name in bench.snapshot() if name.startswith("tile/entries")]


def _end(bench: Bench) -> int:
    return find_prunable(bench.directory, vkeys=bench.vkeys, days=184)[1].end


@pytest.fixture
def aged(bench: Bench) -> Bench:
    fill(bench, steady())
    return bench


@pytest.fixture
def pruned(aged: Bench, serve: Serve) -> Bench:
    """A log whose first bundles were pruned as they may be; its writer runs."""
    with _serve(aged, serve) as client:
        client.prune(_end(aged), "uid 0")
    return aged


def test_what_is_old_enough_goes_and_the_log_and_its_proofs_hold(aged: Bench, serve: Serve, tmp_path: Path) -> None:
    kept, auditor = aged.verify().checkpoint, Auditor(aged, tmp_path / "witness")
    auditor.cosign()
    hashes = {name: data for name, data in aged.snapshot().items() if name.startswith("tile/0")}
    end = _end(aged)
    with _serve(aged, serve) as client:
        index = client.prune(end, "uid 0")
        proof = client.append(events.sign_in(subject="s", at=START), id="gateway/later")
    assert (index, proof.index) == (COUNT, COUNT + 1)
    assert not any((aged.directory / f"tile/entries/{n:03d}").exists() for n in range(end // 256))
    found = aged.verify(kept=kept)
    assert found.pruned is not None
    assert (found.pruned.end, found.pruned.index) == (end, index)
    assert hashes.items() <= aged.snapshot().items()
    auditor.cosign()
    assert prove(aged.directory, end, vkeys=aged.vkeys)["index"] == end
    export_range(aged.directory, tmp_path / "out", first=end, last=end + 300, vkeys=aged.vkeys)
    for read in (
        lambda: prove(aged.directory, 5, vkeys=aged.vkeys),
        lambda: export_range(aged.directory, tmp_path / "more", first=5, last=600, vkeys=aged.vkeys),
    ):
        with pytest.raises(EntryPrunedError, match="was pruned"):
            read()


def test_younger_entries_are_kept_whoever_asks_and_whatever_for(aged: Bench, serve: Serve) -> None:
    end = _end(aged)
    before = aged.snapshot()
    with _serve(aged, serve, days=1) as client:  # a policy that was forged, in memory or in a file
        for asked in (end + 256, COUNT, 1 << 40):
            with pytest.raises(TooYoungError, match="are 184 days old"):
                client.prune(asked, "uid 0")
        for asked in (0, -256, end - 1, 100):
            with pytest.raises(EntryRefusedError):
                client.prune(asked, "uid 0")
        assert aged.snapshot() == before


def test_a_policy_of_more_days_is_kept(aged: Bench, serve: Serve) -> None:
    with _serve(aged, serve, days=300) as client, pytest.raises(TooYoungError, match="300 days"):
        client.prune(_end(aged), "uid 0")


def test_a_clock_turned_forward_prunes_nothing(bench: Bench, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [START + STEP * n for n in range(1000)]
    fill(bench, [*now, *(START + timedelta(days=3000, seconds=n) for n in range(500))])
    monkeypatch.setattr("time.time_ns", lambda: int((START + timedelta(days=3000)).timestamp()) * 10**9)
    before = bench.snapshot()
    with _serve(bench, serve) as client, pytest.raises(TooYoungError):
        client.prune(256, "uid 0")
    assert bench.snapshot() == before


@pytest.mark.parametrize("path", ["/prune", "/restore?index=0"])
def test_only_the_operator_asks(aged: Bench, serve: Serve, path: str) -> None:
    before = aged.snapshot()
    with _serve(aged, serve, Roles({os.getuid(): (GATEWAY,)})) as client:
        with pytest.raises(NotYoursError):
            client.prune(_end(aged), "uid 0") if path == "/prune" else client.put_back(0, b"")
        assert aged.snapshot() == before


def test_an_entry_of_that_kind_is_nobody_s_to_append(aged: Bench, serve: Serve) -> None:
    event = log_pruned(end=2560, until=1, days=184, actor="uid 0")
    with _serve(aged, serve) as client:
        for name in (OPERATOR.id("prune", "1"), GATEWAY.id("1"), f"{ENTRY}1"):
            with pytest.raises(NotYoursError):
                client.append(event, id=name)


def _remove(bench: Bench, end: int) -> None:
    for number in range(end // 256):
        (bench.directory / f"tile/entries/{number:03d}").unlink(missing_ok=True)


def test_entries_removed_by_hand_are_missing(aged: Bench) -> None:
    _remove(aged, 512)
    with pytest.raises(LogTamperedError, match="missing"):
        aged.verify()


def test_entries_removed_beyond_those_that_were_pruned_are_missing(pruned: Bench) -> None:
    end = pruned.verify().pruned
    assert end is not None
    (pruned.directory / f"tile/entries/{end.end // 256:03d}").unlink()
    with pytest.raises(LogTamperedError, match="missing"):
        pruned.verify()


@pytest.mark.parametrize("told", ["more", "another entry", "no number", "no json", "gone"])
def test_the_file_beside_the_log_makes_nothing_pruned(pruned: Bench, told: str) -> None:
    found = pruned.verify().pruned
    assert found is not None
    path = pruned.directory / PRUNED
    if told == "gone":
        path.unlink()
    else:
        path.write_bytes(
            {
                "more": encode_pruned(found.end + 256, found.index),
                "another entry": encode_pruned(found.end, found.index - 1),
                "no number": b'{"schema":1,"end":true,"entry":[]}',
                "no json": b"\xff",
            }[told]
        )
    with pytest.raises(LogInconsistentError):
        pruned.verify()
    with pytest.raises(LogInconsistentError):
        prove(pruned.directory, 5, vkeys=pruned.vkeys)


def test_another_writer_s_entry_that_says_the_same_makes_nothing_pruned(aged: Bench) -> None:
    """The kind is right and the id is not the writer's: what a service that was taken over might bring in."""
    event = log_pruned(end=2048, until=1, days=184, actor="uid 0")
    aged.open().append([("gateway/prune/1", encode_entry(event, "gateway/prune/1"))])
    aged.close()
    _remove(aged, 2048)
    (aged.directory / PRUNED).write_bytes(encode_pruned(2048, COUNT))
    with pytest.raises(LogTamperedError):
        aged.verify()


def test_a_writer_that_prunes_too_early_is_found_out_by_what_is_left(bench: Bench) -> None:
    """With the log's keys and its writer's own entry: the entries that are left tell how little time had passed."""
    fill(bench, steady(2000))
    log = bench.open()
    event = log_pruned(end=1024, until=1, days=184, actor="uid 0")
    (index,) = log.append([(f"{ENTRY}1", encode_entry(event, f"{ENTRY}1"))])
    log.prune(1024, index)
    bench.close()
    with pytest.raises(LogTamperedError, match="pruned: entries before 1024 were removed when") as caught:
        bench.verify()
    assert [finding.kind for finding in caught.value.findings] == ["pruned"]


def test_an_edited_hash_of_a_pruned_entry_is_found(pruned: Bench) -> None:
    path = pruned.directory / "tile/0/001"
    data = bytearray(path.read_bytes())
    data[40] ^= 1
    path.write_bytes(data)
    with pytest.raises(LogTamperedError, match="tile/0/001 was rewritten"):
        pruned.verify()


def test_an_id_that_was_used_by_a_pruned_entry_is_not_used_again(pruned: Bench) -> None:
    size = pruned.verify().size
    copy = Bench(pruned.directory.with_name("copy"), pruned.keys)
    shutil.copytree(pruned.directory, copy.directory)
    again = copy.open()
    with pytest.raises(EntryRefusedError, match="was pruned"):
        again.stored(["gateway/a5"])
    assert again.append([record(9_999_999, START)]) == [size]
    copy.close()
    for leftover in copy.directory.glob("ids.sqlite*"):
        leftover.unlink()
    rebuilt = copy.open()  # what is left of the log is what a new index knows
    assert rebuilt.stored(["gateway/a5"]) == {}
    assert list(rebuilt.stored([f"gateway/a{COUNT - 1}"])) == [f"gateway/a{COUNT - 1}"]
    copy.close()


def test_a_report_says_what_is_in_no_figure_and_keeps_what_was_counted_before(
    aged: Bench, serve: Serve, tmp_path: Path
) -> None:
    cache = open_cache(tmp_path / "cache")
    whole = build_report(aged.directory, vkeys=aged.vkeys, known=cache, level=1)
    end = _end(aged)
    with _serve(aged, serve) as client:
        client.prune(end, "uid 0")
    known = build_report(aged.directory, vkeys=aged.vkeys, known=cache, level=1)
    assert (known.pruned, known.total) == (0, whole.total)
    stranger = open_cache(tmp_path / "stranger")
    for _ in range(2):  # figures of half a block are kept nowhere
        for level in (1, 2):
            fresh = build_report(aged.directory, vkeys=aged.vkeys, known=stranger, level=level)
            assert (fresh.pruned, fresh.total.sign_ins) == (end, whole.total.sign_ins - end)
            assert fresh.as_json()["pruned"] == end


def test_pruning_that_was_cut_off_is_finished_by_the_next(pruned: Bench) -> None:
    found = pruned.verify().pruned
    assert found is not None
    entries = [entry for _, entry in records(steady())]
    (pruned.directory / "tile/entries/000").write_bytes(encode_entries(entries[:256]))
    assert pruned.verify().pruned == found
    assert prove(pruned.directory, 5, vkeys=pruned.vkeys)["index"] == 5


def test_a_log_that_does_not_hold_is_not_pruned(aged: Bench, serve: Serve) -> None:
    path = aged.directory / "tile/entries/010"
    path.write_bytes(path.read_bytes().replace(b"analysts", b"analystx", 1))
    before = aged.snapshot()
    with _serve(aged, serve) as client, pytest.raises(Exception, match="edited"):
        client.prune(512, "uid 0")
    assert aged.snapshot() == before


def test_strange_bodies_are_refused(aged: Bench, serve: Serve) -> None:
    before = aged.snapshot()
    with _serve(aged, serve) as client:
        for body in (b"", b"{}", b'{"end":"256","actor":"x"}', b'{"end":256,"end":512,"actor":"x"}', b"[" * 99):
            answer = client._ask("POST", "/prune", body)
            assert answer.status_code == 400, body
        for index in ("", "-1", "x", "9" * 30):
            assert client._ask("POST", f"/restore?index={index}", b"").status_code == 400
        assert aged.snapshot() == before
