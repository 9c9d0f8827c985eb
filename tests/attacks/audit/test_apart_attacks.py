"""Who can write to the log's folder, or hand in entries, changes or claims what is kept apart of them.

Without the log's key the disk's owner can destroy such a text, and cannot put another in its place unseen.
"""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import httpx
import pytest
import typer
from typer.testing import CliRunner, Result

from appliance.audit.apart import items_of
from appliance.audit.apart_store import file_path
from appliance.audit.client import AuditClient, SyncAuditClient
from appliance.audit.entry import decode_entry
from appliance.audit.errors import ApartError, EntryRefusedError, LogTamperedError
from appliance.audit.events_operation import install_step
from appliance.audit.roles import GATEWAY, OPERATOR
from appliance.cli import audit
from tests.audit.processes import writers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.audit.bench import Bench

TEXTS = ("the first step failed: " + "x" * 5000, "the second failed: " + "y" * 5000)


@pytest.fixture
def kept(bench: Bench) -> list[Path]:
    """A log with two texts kept apart; their files."""
    log, found = bench.open(), []
    for number, text in enumerate(TEXTS):
        record = log.keep(f"operator/{number}", install_step(step="start", detail=text, actor="uid 0"), 0)
        log.append([record])
        found.append(bench.directory / str(file_path(items_of(decode_entry(record[1])[1])[0])))
    bench.close()
    return found


def verified(bench: Bench, tmp_path: Path) -> Result:
    keys = tmp_path / "vkeys"
    keys.write_text("".join(key.encode() + "\n" for key in bench.vkeys))
    app = typer.Typer()

    @app.callback()
    def root(context: typer.Context) -> None:
        context.obj = tmp_path / "site"

    app.add_typer(audit.app, name="audit")
    words = ["audit", "verify", "--log", str(bench.directory), "--vkeys", str(keys)]
    return CliRunner().invoke(app, words)


def _cut(one: Path, _: Path) -> None:
    one.write_bytes(one.read_bytes()[:-1])


def _exchange(one: Path, other: Path) -> None:
    shutil.copyfile(other, one)


def _link(one: Path, other: Path) -> None:
    one.unlink()
    one.symlink_to(other)


def _pipe(one: Path, _: Path) -> None:
    one.unlink()
    os.mkfifo(one)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda one, _: one.unlink(), "is missing"),
        (lambda one, _: one.write_bytes(one.read_bytes() + b"x"), "was changed"),
        (_cut, "was changed"),
        (_exchange, "was changed"),
        (_link, "cannot be read"),
        (_pipe, "cannot be read"),
    ],
)
def test_a_text_that_was_removed_or_exchanged_is_named_and_not_shown(
    bench: Bench, kept: list[Path], tmp_path: Path, change: Callable[[Path, Path], None], told: str
) -> None:
    assert verified(bench, tmp_path).exit_code == 0
    change(kept[1], kept[0])
    done = verified(bench, tmp_path)
    assert isinstance(done.exception, LogTamperedError)
    assert [(one.kind, one.index) for one in done.exception.findings] == [("apart", 1)]
    assert told in done.exception.findings[0].detail
    log = bench.open()
    log.open()
    with pytest.raises(ApartError, match=told):
        log.read_apart(log.stored(["operator/1"])["operator/1"][1])
    assert log.read_apart(log.stored(["operator/0"])["operator/0"][1])[0][2] == TEXTS[0]


def test_a_damaged_key_costs_texts_and_no_entry(bench: Bench, kept: list[Path]) -> None:
    assert len(kept) == 2
    (key,) = (bench.directory / "apart/keys").iterdir()
    key.write_bytes(b"\x07" * 60)
    log = bench.open()
    log.open()
    with pytest.raises(ApartError, match="does not open"):
        log.read_apart(log.stored(["operator/0"])["operator/0"][1])
    record = log.keep("operator/2", install_step(step="start", detail=TEXTS[0], actor="uid 0"), 0)
    assert log.append([record]) == [2]
    assert items_of(decode_entry(record[1])[1])[0].file is None


@pytest.fixture
def running(bench: Bench, tmp_path: Path) -> Iterator[Path]:
    with writers(bench, tmp_path, tmp_path / "sock", {"gateway": os.getuid()}) as begin:
        begin()
        yield tmp_path / "sock"


@pytest.mark.anyio
async def test_nobody_says_for_the_writer_what_is_kept_apart(bench: Bench, running: Path) -> None:
    """Else whoever may log could name a file that never was, and have the auditor find the log damaged."""
    item = {"at": "/x", "bytes": 9, "commitment": "sha256:" + "0" * 64, "file": "sha256:" + "0" * 64}
    event = bench.event("r", unmapped={"sovereign": {"kind": "request", "apart": [item]}})
    async with AuditClient(running) as audit_client:
        with pytest.raises(EntryRefusedError, match="for the writer to say"):
            await audit_client.append(event, id=GATEWAY.id("r"))
    with SyncAuditClient(running) as plain, pytest.raises(EntryRefusedError, match="for the writer to say"):
        plain.append(event, id=GATEWAY.id("r"))
    assert bench.verify().size == 0


def test_a_taken_over_gateway_is_given_no_text_that_it_did_not_bring(running: Path) -> None:
    with SyncAuditClient(running) as audit_client:
        with pytest.raises(EntryRefusedError, match="operator's to ask"):
            audit_client.apart(0)
        with pytest.raises(EntryRefusedError):
            audit_client.append(install_step(step="s", detail=TEXTS[0]), id=OPERATOR.id("x"))
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(running)), base_url="http://audit") as http:
        assert http.get("/healthz").json()["size"] == 0
