"""What is too long for an entry is kept apart whole, committed to, and the same however often it is handed in."""

from __future__ import annotations

import asyncio
import errno
import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from appliance.audit import events, storage
from appliance.audit.apart import Item, items_of
from appliance.audit.apart_check import ApartCheck
from appliance.audit.apart_store import file_path
from appliance.audit.client import AuditClient, SyncAuditClient
from appliance.audit.commitment import opens
from appliance.audit.copying import log_files
from appliance.audit.entry import decode_entry, encode_entry
from appliance.audit.erased import erased_in
from appliance.audit.errors import ApartError, AuditUnavailableError, EntryRefusedError, EntryTooLargeError
from appliance.audit.events_operation import admin_change, install_step
from appliance.audit.ocsf import MAX_LONG, MAX_TEXT, short
from appliance.audit.passing import PassingLog
from appliance.audit.roles import CLUSTER, GATEWAY, IDENTITY, OPERATOR, engine
from appliance.audit.stored import read_stored
from appliance.audit.tiles import MAX_ENTRY_BYTES, WIDTH
from appliance.audit.writer import GroupWriter
from appliance.errors import LogInconsistentError
from tests.audit.processes import writers

if TYPE_CHECKING:
    from pathlib import Path

    from appliance.audit.log import TileLog
    from tests.audit.bench import Bench

ANYBODY, PERSON = "uid 0", "ab" * 16
MEGABYTE = "naïve \x1b[31m\n" * 80_000
LONG = 'first line\n\N{SNOWMAN}"\\\x1b[31m' * 200


def step(detail: str) -> dict[str, Any]:
    return install_step(step="start", detail=detail, actor=ANYBODY, success=False)


def refused(detail: str, subject: str = PERSON) -> dict[str, Any]:
    return events.refusal(request_id="r", reason_code="x", status=400, subject=subject, detail=detail)


def append(log: TileLog, event: dict[str, Any], name: str) -> bytes:
    record = log.keep(name, event, 0)
    log.append([record])
    return record[1]


def entry_of(bench: Bench, index: int) -> dict[str, Any]:
    stored = read_stored(bench.directory, bench.vkeys)
    return decode_entry(stored.tiles.entry(index))[1]


@pytest.mark.parametrize("text", [LONG, MEGABYTE[: MAX_LONG // 2], "\0" * 2000, "x" * 2000, '"' * 65_535])
def test_a_long_text_is_kept_whole_and_its_entry_commits_to_it(bench: Bench, text: str) -> None:
    log = bench.open()
    entry = append(log, step(text), "operator/a")
    event = decode_entry(entry)[1]
    (item,) = items_of(event)
    assert (item.at, item.size) == ("/status_detail", len(text.encode()))
    assert event["status_detail"] == short(text)
    ((found, salt, whole),) = log.read_apart(entry)
    assert (found, whole) == (item, text)
    assert opens(str(item.commitment), text.encode(), salt)
    assert len(entry) <= MAX_ENTRY_BYTES
    assert text.encode()[:40] not in (bench.directory / str(file_path(item))).read_bytes()


def test_a_text_that_fits_stays_where_it_is(bench: Bench) -> None:
    log = bench.open()
    event = step("x" * MAX_TEXT)
    assert append(log, event, "operator/a") == encode_entry(event, "operator/a")
    assert not (bench.directory / "apart").exists()


def test_many_texts_that_do_not_fit_together_go_apart_and_each_comes_back(bench: Bench) -> None:
    log = bench.open()
    names = tuple(f"{number} " + "n" * 900 for number in range(32))
    event = events.model_load(
        model_name="m", model_digest="d", signers=names, confinement=names, waivers=[{"why": "w" * 1000}] * 20
    )
    assert len(encode_entry(event, "e", 1 << 20)) > MAX_ENTRY_BYTES
    entry = append(log, event, "e")
    kept = {item.at: text for item, _, text in log.read_apart(entry)}
    assert kept["/unmapped/sovereign/signers/31"] == names[31]
    assert len(entry) <= MAX_ENTRY_BYTES


def test_what_cannot_be_made_to_fit_is_refused_and_nothing_is_written(bench: Bench) -> None:
    log = bench.open()
    log.open()
    before = bench.snapshot()
    deep: Any = "y" * 2000
    for number in range(20):
        deep = {f"a key of some length, number {number}": deep}
    for comment in ([7] * 60_000, ["z" * 2000] * 200, deep, "x" * (MAX_LONG + 4)):
        with pytest.raises(EntryTooLargeError):
            log.keep("r", bench.event("r", comment=comment), 0)
    assert bench.snapshot() == before


def test_the_same_again_is_the_same_file_and_entry_also_for_the_next_writer(bench: Bench) -> None:
    first = append(bench.open(), refused(LONG), "gateway/a")
    bench.close()
    before = bench.snapshot()
    assert bench.open().keep("gateway/a", refused(LONG), 0)[1].partition(b'"time"')[0] == first.partition(b'"time"')[0]
    assert {name for name in bench.snapshot() if name.startswith("apart")} == {n for n in before if n[:5] == "apart"}


def test_equal_texts_of_two_entries_have_nothing_in_common(bench: Bench) -> None:
    log = bench.open()
    items = [items_of(decode_entry(append(log, refused(LONG), f"gateway/{name}"))[1])[0] for name in "ab"]
    assert items[0].commitment != items[1].commitment
    assert items[0].file != items[1].file


@pytest.mark.anyio
async def test_a_retry_is_no_conflict_though_the_key_was_lost_or_an_older_release_cut_the_text(bench: Bench) -> None:
    writer = GroupWriter(bench.open())
    bench.logs.clear()
    event = refused(LONG)
    old = short(LONG)
    assert (await writer.submit([("gateway/o", encode_entry(event | {"status_detail": old}, "gateway/o"))])).positions
    await writer.submit(await writer.keep([("gateway/a", event)], 0))
    for path in (bench.directory / "apart/people").iterdir():
        path.unlink()
    again = await writer.submit(await writer.keep([("gateway/o", event), ("gateway/a", event)], 0))
    assert again.positions == [0, 1]
    with pytest.raises(EntryRefusedError, match="already used"):
        await writer.submit(await writer.keep([("gateway/a", refused(LONG + "!"))], 0))
    await writer.close()


@pytest.mark.anyio
async def test_an_erasure_destroys_the_key_before_it_is_answered_and_nothing_more_is_kept(bench: Bench) -> None:
    writer = GroupWriter(bench.open())
    bench.logs.clear()
    records = await writer.keep([("gateway/a", refused(LONG)), ("operator/b", step(LONG))], 0)
    await writer.submit(records)
    gone = admin_change(actor=ANYBODY, action="delete", kind="person", target=PERSON)
    for name in ("operator/c", "operator/c"):  # asked once more, after an answer that was lost
        await writer.submit([(name, encode_entry(gone, name))])
        with pytest.raises(ApartError, match="gone"):
            await writer.read_apart(records[0][1])
    assert (await writer.read_apart(records[1][1]))[0][2] == LONG
    ((_, later),) = await writer.keep([("gateway/d", refused(LONG))], 0)
    assert items_of(decode_entry(later)[1]) == (Item("/status_detail", len(LONG.encode())),)
    await writer.close()
    check = ApartCheck(bench.directory)
    check.finish(bench.verify(visit=check.visit))
    assert check.texts == 2


def test_pruning_takes_the_texts_of_what_it_prunes_and_no_others(bench: Bench) -> None:
    log = bench.open()
    first = append(log, step(LONG), "operator/first")
    log.append(bench.records(*range(WIDTH - 1)))
    last = append(log, step(LONG), "operator/last")
    log.prune(WIDTH, WIDTH)
    with pytest.raises(ApartError, match="missing"):
        log.read_apart(first)
    assert log.read_apart(last)[0][2] == LONG


def test_a_copy_has_the_texts_and_no_persons_key(bench: Bench) -> None:
    log = bench.open()
    append(log, refused(LONG), "gateway/a")
    append(log, step(LONG), "operator/b")
    bench.close()
    files = {
        name: data if isinstance(data, bytes) else data.read_bytes()
        for name, data in log_files(read_stored(bench.directory, bench.vkeys))
    }
    assert [len(name.split("/")[1]) for name in files if name.startswith("apart/")].count(2) == 2
    assert [name for name in files if name.startswith("apart/people")] == []
    assert len([name for name in files if name.startswith("apart/keys/")]) == 1
    judged = PassingLog(bench.vkeys)
    for name, data in files.items():
        judged.take(name, data)
    judged.finish()
    for name in [name for name in files if name.startswith("apart/")]:
        other = PassingLog(bench.vkeys)
        other.take("checkpoint", files["checkpoint"])
        with pytest.raises(LogInconsistentError):
            other.take(name, files[name] + b"x")


def test_entries_that_an_older_release_cut_still_verify(bench: Bench) -> None:
    event = step("")
    log = bench.open()
    log.append([("operator/a", encode_entry(event | {"status_detail": short(LONG)}, "operator/a"))])
    bench.close()
    check = ApartCheck(bench.directory)
    check.finish(bench.verify(visit=check.visit))
    assert check.texts == 0


def test_both_clients_hand_in_what_no_frame_holds_and_the_operator_has_it_back(bench: Bench, tmp_path: Path) -> None:
    text = MEGABYTE[: MAX_LONG // 2]

    async def gateway() -> int:
        async with AuditClient(tmp_path / "sock") as audit:
            many = [audit.append(refused(f"{n} {text}"), id=GATEWAY.id(str(n)), proven=n == 1) for n in range(3)]
            found = await asyncio.gather(*many, audit.append(refused("short"), id=GATEWAY.id("s")))
            assert [one.hashes for one in found[:3]] == [()] * 3
            return found[1].index

    with writers(bench, tmp_path, tmp_path / "sock", {"gateway": os.getuid(), "operator": os.getuid()}) as begin:
        begin()
        index = asyncio.run(gateway())
        with SyncAuditClient(tmp_path / "sock") as audit:
            own = audit.append(step(text), id=OPERATOR.id("a")).index
            audit.append_all((OPERATOR.id(str(n)), step(f"{n} {text}")) for n in range(3))
            assert [one.text for one in audit.apart(index)] == [f"1 {text}"]
            assert [one.text for one in audit.apart(own)] == [text]
            assert audit.apart(own)[0].at == "/status_detail"
    check = ApartCheck(bench.directory)
    check.finish(bench.verify(visit=check.visit))
    assert check.texts == 7


@pytest.mark.parametrize("kept", [0, 1])
def test_a_key_or_a_text_that_was_cut_off_while_it_was_written_is_not_there(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, kept: int
) -> None:
    """A key of no bytes would say that its person was erased; a cut text would be in every copy, and refused there."""
    log = bench.open()
    append(log, refused(LONG, "cd" * 16), "gateway/before")
    whole, left = storage._write, [kept]

    def cut(path: Path, data: bytes) -> int:
        if "apart/" in str(path):
            if not left[0]:
                path.write_bytes(data[: len(data) // 2])
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            left[0] -= 1
        return whole(path, data)

    with monkeypatch.context() as patch:
        patch.setattr(storage, "_write", cut)
        with pytest.raises(AuditUnavailableError):
            log.keep("gateway/a", refused(LONG), 0)
    stored = read_stored(bench.directory, bench.vkeys)
    passing = PassingLog(bench.vkeys)
    for name, data in log_files(stored):
        passing.take(name, data if isinstance(data, bytes) else data.read_bytes())
    assert passing.finish()
    ((_, _, text),) = log.read_apart(append(log, refused(LONG), "gateway/a"))
    assert text == LONG


def test_a_crash_between_the_entry_of_an_erasure_and_the_key_is_mended_when_the_log_is_opened(bench: Bench) -> None:
    log = bench.open()
    kept = append(log, refused(LONG), "gateway/a")
    other = append(log, refused(LONG, "cd" * 16), "gateway/b")
    event = admin_change(actor=ANYBODY, action="delete", kind="person", target=PERSON)
    log.enter([log.keep("operator/erase", event, 0)])  # durable, in the journal; its caller heard nothing
    assert log.read_apart(kept)
    bench.close()
    again = bench.open()
    again.open()
    with pytest.raises(ApartError, match="key"):
        again.read_apart(kept)
    assert again.read_apart(other)
    assert "commitment" not in json.dumps(decode_entry(again.keep("gateway/c", refused(LONG), 0)[1])[1]["unmapped"])


def test_an_entry_that_says_nothing_of_its_own_has_nothing_kept_apart() -> None:
    for event in ({}, {"unmapped": {}}, {"unmapped": None}, {"unmapped": {"sovereign": []}}):
        assert items_of(event) == ()


def test_only_an_act_of_the_operator_s_is_believed_to_erase_somebody() -> None:
    """A gateway may say of what it keeps that it was deleted; not of a person, whose texts would go with it."""
    event = admin_change(actor=ANYBODY, action="delete", kind="person", target=PERSON)
    assert list(erased_in([encode_entry(event, "operator/a")])) == [PERSON]
    for kind in ("feedback", "expert_act", "rollout_decision", "identity_change", None):
        made = event | {"unmapped": {"sovereign": event["unmapped"]["sovereign"] | {"kind": kind}}}
        assert list(erased_in([encode_entry(made, "gateway/a")])) == []
    assert not any("admin_change" in role.kinds for role in (GATEWAY, IDENTITY, CLUSTER, engine("m")))


def test_a_text_that_rotted_or_is_no_file_keeps_no_copy_of_the_log_from_being_made(bench: Bench) -> None:
    log = bench.open()
    paths = [
        bench.directory / str(file_path(items_of(decode_entry(append(log, step(LONG), name))[1])[0])) for name in "abc"
    ]
    paths[0].write_bytes(paths[0].read_bytes()[:-1])
    paths[1].unlink()
    os.mkfifo(paths[1])
    passing, copied = PassingLog(bench.vkeys), []
    for name, data in log_files(read_stored(bench.directory, bench.vkeys)):
        passing.take(name, data if isinstance(data, bytes) else data.read_bytes())
        copied.append(name)
    assert passing.finish()
    assert [name for name in copied if name.startswith("apart/") and "keys" not in name] == [
        paths[2].relative_to(bench.directory).as_posix()
    ]
