"""Nobody takes entries out of the log before six months: not by asking, not by hand, not with the writer's keys.

What was pruned lawfully leaves every proof as it was, and comes back from archives of this very log alone.
"""

from __future__ import annotations

import os
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from appliance.audit import events
from appliance.audit.errors import EntryPrunedError, EntryRefusedError, NotYoursError, TooYoungError
from appliance.audit.events_operation import log_pruned
from appliance.audit.export import export_range
from appliance.audit.prove import prove
from appliance.audit.pruned import ENTRY
from appliance.audit.roles import GATEWAY, OPERATOR, Roles
from tests.audit.aged import COUNT, START, STEP, fill
from tests.audit.auditor import Auditor
from tests.audit.pruning import prunable_end, serve_log

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from starlette.types import ASGIApp

    from tests.audit.bench import Bench
    from tests.audit.running import Running

    Serve = Callable[[ASGIApp], Running]


def _bundles(bench: Bench) -> list[str]:
    return [name for name in bench.snapshot() if name.startswith("tile/entries")]


def test_what_is_old_enough_goes_and_the_log_and_its_proofs_hold(aged: Bench, serve: Serve, tmp_path: Path) -> None:
    kept, auditor = aged.verify().checkpoint, Auditor(aged, tmp_path / "witness")
    auditor.cosign()
    hashes = {name: data for name, data in aged.snapshot().items() if name.startswith("tile/0")}
    end = prunable_end(aged)
    with serve_log(aged, serve) as client:
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
    end = prunable_end(aged)
    before = aged.snapshot()
    with serve_log(aged, serve, days=1) as client:  # a policy that was forged, in memory or in a file
        for asked in (end + 256, COUNT, 1 << 40):
            with pytest.raises(TooYoungError, match="are 184 days old"):
                client.prune(asked, "uid 0")
        for asked in (0, -256, end - 1, 100):
            with pytest.raises(EntryRefusedError):
                client.prune(asked, "uid 0")
        assert aged.snapshot() == before


def test_a_policy_of_more_days_is_kept(aged: Bench, serve: Serve) -> None:
    with serve_log(aged, serve, days=300) as client, pytest.raises(TooYoungError, match="300 days"):
        client.prune(prunable_end(aged), "uid 0")


def test_a_clock_turned_forward_prunes_nothing(bench: Bench, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [START + STEP * n for n in range(1000)]
    fill(bench, [*now, *(START + timedelta(days=3000, seconds=n) for n in range(500))])
    monkeypatch.setattr("time.time_ns", lambda: int((START + timedelta(days=3000)).timestamp()) * 10**9)
    before = bench.snapshot()
    with serve_log(bench, serve) as client, pytest.raises(TooYoungError):
        client.prune(256, "uid 0")
    assert bench.snapshot() == before


@pytest.mark.parametrize("path", ["/prune", "/restore?index=0"])
def test_only_the_operator_asks(aged: Bench, serve: Serve, path: str) -> None:
    before = aged.snapshot()
    with serve_log(aged, serve, Roles({os.getuid(): (GATEWAY,)})) as client:
        with pytest.raises(NotYoursError):
            client.prune(prunable_end(aged), "uid 0") if path == "/prune" else client.put_back(0, b"")
        assert aged.snapshot() == before


def test_an_entry_of_that_kind_is_nobody_s_to_append(aged: Bench, serve: Serve) -> None:
    event = log_pruned(end=2560, until=1, days=184, actor="uid 0")
    with serve_log(aged, serve) as client:
        for name in (OPERATOR.id("prune", "1"), GATEWAY.id("1"), f"{ENTRY}1"):
            with pytest.raises(NotYoursError):
                client.append(event, id=name)


def test_a_log_that_does_not_hold_is_not_pruned(aged: Bench, serve: Serve) -> None:
    path = aged.directory / "tile/entries/010"
    path.write_bytes(path.read_bytes().replace(b"analysts", b"analystx", 1))
    before = aged.snapshot()
    with serve_log(aged, serve) as client, pytest.raises(Exception, match="edited"):
        client.prune(512, "uid 0")
    assert aged.snapshot() == before


def test_strange_bodies_are_refused(aged: Bench, serve: Serve) -> None:
    before = aged.snapshot()
    with serve_log(aged, serve) as client:
        for body in (b"", b"{}", b'{"end":"256","actor":"x"}', b'{"end":256,"end":512,"actor":"x"}', b"[" * 99):
            answer = client._ask("POST", "/prune", body)
            assert answer.status_code == 400, body
        for index in ("", "-1", "x", "9" * 30):
            assert client._ask("POST", f"/restore?index={index}", b"").status_code == 400
        assert aged.snapshot() == before
