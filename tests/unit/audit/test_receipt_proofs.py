"""The proof in a receipt: it comes with the append, holds under the keys alone, and covers every word of it."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import TYPE_CHECKING, Any

import pytest
import typer
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from appliance.audit import events, wire
from appliance.audit.checkpoint import open_checkpoint
from appliance.audit.client import AuditClient
from appliance.audit.commitment import commit, new_salt
from appliance.audit.entry import encode_entry
from appliance.audit.errors import AuditUnavailableError, NoteError, ReceiptError
from appliance.audit.keys import CheckpointKeys
from appliance.audit.log import TileLog
from appliance.audit.merkle import inclusion_holds, leaf_hash
from appliance.audit.receipt_check import check_receipt, receipt_digest
from appliance.audit.replies import appended
from appliance.audit.server import create_app
from appliance.audit.tlog_proof import read_tlog_proof, tlog_proof
from appliance.audit.writer import GroupWriter
from appliance.cli import audit
from appliance.errors import LogInconsistentError
from tests.audit.bench import EVERY_ROLE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from appliance.audit.wire import Position
    from tests.audit.bench import Bench
    from tests.audit.running import Running

ANSWER = b"It rests on what was said."
SALT = new_salt()


def _require_proven(bench: Bench, position: Position) -> None:
    head = open_checkpoint(position.checkpoint.encode(), bench.vkeys)
    hashes = [base64.b64decode(one) for one in position.hashes]
    assert head.size == position.size
    assert inclusion_holds(position.index, head.size, leaf_hash(position.entry), hashes, head.root)


def _receipt(**changes: Any) -> dict[str, Any]:
    commitments = {"answer": commit(ANSWER, SALT), "answer_salt": base64.b64encode(SALT).decode()}
    return {"request_id": "r1", "usage": {"prompt_tokens": 3}, "commitments": commitments, **changes}


def _logged(
    bench: Bench, receipt: dict[str, Any], *, request_index: int = 0, entry_id: str = "gateway/i/r1/end"
) -> Any:
    """``receipt`` with the proof of its entry in a log of 300 others."""
    event = events.answer(
        request_id=receipt["request_id"],
        subject="0f1e2d",
        groups=("analysts",),
        model_digest="sha256:" + "a5" * 32,
        model_name="demo",
        outcome="stop",
        prompt_tokens=3,
        completion_tokens=2,
        joules=1.5,
        duration_ms=3.0,
        answer_commitment=receipt["commitments"]["answer"],
        request_index=request_index,
        receipt_digest=receipt_digest(receipt),
    )
    bench.fill(300)
    log = bench.open()
    entry = encode_entry(event, entry_id)
    (index,) = log.append([(entry_id, entry)])
    assert log.signed is not None
    note = log.signed.note
    hashes = [base64.b64encode(one).decode() for one in log.prove([index])[0]]
    place = {"origin": bench.origin, "request_index": request_index, "answer_index": index, "size": 301}
    return {**receipt, "log": {**place, "proof": tlog_proof(index, hashes, note, entry)}}


@pytest.mark.anyio
@pytest.mark.parametrize("before", [0, 1, 255, 256, 511, 700])
async def test_an_append_that_asks_for_it_brings_the_proof_of_each_entry(bench: Bench, before: int) -> None:
    if before:
        bench.fill(before)
    writer = GroupWriter(TileLog(bench.directory, bench.origin, bench.keys))
    for round_ in range(3):  # what the first left is in the journal, or in tiles
        asked = [
            bench.records(*range(before + 400 * round_ + n, before + 400 * round_ + n + 100)) for n in (0, 100, 200)
        ]
        receipts = await asyncio.gather(*(writer.put(records, proven=True) for records in asked))
        for records, receipt in zip(asked, receipts, strict=True):
            assert receipt.proofs is not None
            for (_, entry), position, proof in zip(records, receipt.positions, receipt.proofs, strict=True):
                head = receipt.signed.head
                assert inclusion_holds(position, head.size, leaf_hash(entry), proof, head.root)
        if round_ == 1:
            await writer.settle()
    again = await writer.put(bench.records(before + 5), proven=True)  # as a caller whose connection broke says it again
    assert again.proofs is not None
    (_, entry), head = bench.records(before + 5)[0], again.signed.head
    assert inclusion_holds(again.positions[0], head.size, leaf_hash(entry), again.proofs[0], head.root)
    assert (await writer.put(bench.records(before + 6))).proofs is None, "nobody asked"
    await writer.close()
    bench.verify()


@pytest.mark.anyio
async def test_proofs_are_of_the_log_as_it_is_after_a_failure_too(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = TileLog(bench.directory, bench.origin, bench.keys)
    writer = GroupWriter(log)
    await writer.put(bench.records(*range(10)), proven=True)

    def broken(*_: object) -> None:
        raise OSError(5, "the disk broke")

    with monkeypatch.context() as patch:
        patch.setattr(log._journal, "write", broken)
        with pytest.raises(AuditUnavailableError):
            await writer.put(bench.records(*range(10, 20)), proven=True)
    receipt = await writer.put(bench.records(*range(30, 47)), proven=True)
    await writer.close()
    assert receipt.proofs is not None
    for (_, entry), position, proof in zip(
        bench.records(*range(30, 47)), receipt.positions, receipt.proofs, strict=True
    ):
        assert inclusion_holds(position, receipt.signed.head.size, leaf_hash(entry), proof, receipt.signed.head.root)


@pytest.mark.anyio
async def test_what_cannot_be_proved_is_durable_and_answered_without_a_proof(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def damaged(_: object) -> None:
        raise LogInconsistentError("a tile is missing")

    log = TileLog(bench.directory, bench.origin, bench.keys)
    writer = GroupWriter(log)
    monkeypatch.setattr(log, "prove", damaged)
    receipt = await writer.put(bench.records(0, 1), proven=True)
    await writer.close()
    assert (receipt.positions, receipt.proofs, "proofs" in appended(receipt)) == ([0, 1], None, False)
    bench.verify()


@pytest.mark.anyio
async def test_a_client_gets_proofs_for_those_who_asked(bench: Bench, serve: Callable[..., Running]) -> None:
    running = serve(create_app(TileLog(bench.directory, bench.origin, bench.keys), EVERY_ROLE))
    async with AuditClient(running.socket) as client:
        wanted = [n % 3 == 0 for n in range(60)]
        got = await asyncio.gather(
            *(client.append(bench.event(f"r{n}"), id=f"gateway/r{n}", proven=one) for n, one in enumerate(wanted))
        )
    for one, position in zip(wanted, got, strict=True):
        assert bool(position.hashes) is one
        if one:
            _require_proven(bench, position)


def test_a_reply_whose_proof_does_not_lead_to_its_checkpoint_is_no_reply(bench: Bench) -> None:
    bench.fill(5)
    log = bench.open()
    assert log.open()
    signed = log.signed
    assert signed is not None
    proof = [base64.b64encode(one).decode() for one in log.prove([3])[0]]
    entries = [bench.records(3)[0][1]]
    spare = proof[0][:-2] + chr(ord(proof[0][-2]) + 1) + "="  # bits that stand for nothing: the same hash, misspelt
    assert base64.b64decode(spare) == base64.b64decode(proof[0])
    answer = {"status": 200, "positions": [3], "size": 5, "root": "", "checkpoint": signed.note, "proofs": [proof]}
    assert wire.read_reply(json.dumps(answer).encode(), entries, proven=True)[0].hashes == tuple(proof)
    long = (
        {"checkpoint": signed.note + "x" * 40_000},
        {"checkpoint": signed.note + "\ud800"},
        {"proofs": [proof * 64]},
    )
    for wrong in (
        {"proofs": [proof[:-1]]},
        {"proofs": [[spare, *proof[1:]]]},
        {"proofs": []},
        {"proofs": [["?"]]},
        {"positions": [2]},
        {"proofs": None},
        *long,
    ):
        with pytest.raises(AuditUnavailableError):
            wire.read_reply(json.dumps(answer | wrong).encode(), entries, proven=True)
    with pytest.raises(AuditUnavailableError):
        wire.read_reply(b"[" * 1_000_000, entries, proven=True)
    del answer["proofs"]
    (unproven,) = wire.read_reply(json.dumps(answer).encode(), entries, proven=True)
    assert (unproven.index, unproven.entry, unproven.hashes) == (3, b"", ())


def test_a_receipt_proves_itself_under_the_keys_alone(bench: Bench) -> None:
    receipt = _logged(bench, _receipt())
    checked = check_receipt(receipt, bench.vkeys, ANSWER)
    assert (checked.index, checked.head.size, checked.answer_matches) == (300, 301, True)
    assert check_receipt(receipt, bench.vkeys, ANSWER + b"!").answer_matches is False
    assert len(receipt["log"]["proof"]) < 8192


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"usage": {"prompt_tokens": 4}}, "something that the receipt says"),
        ({"added": True}, "something that the receipt says"),
        ({"request_id": "r2"}, "request id"),
        ({"commitments": {}}, "commitment"),
        ({"commitments": "none"}, "commitment"),
        ({"log": {}}, "no proof"),
        ({"log": None}, "no proof"),
        ({"log": {"proof": None}}, "no proof"),
    ],
)
def test_a_word_changed_in_a_receipt_is_found(bench: Bench, changes: dict[str, Any], named: str) -> None:
    with pytest.raises(ReceiptError, match=named):
        check_receipt(_logged(bench, _receipt()) | changes, bench.vkeys)


@pytest.mark.parametrize("name", ["origin", "request_index", "answer_index", "size"])
def test_a_place_changed_in_a_receipt_is_found(bench: Bench, name: str) -> None:
    receipt = _logged(bench, _receipt())
    receipt["log"][name] = 7
    with pytest.raises(ReceiptError, match=name.replace("_", " ")):
        check_receipt(receipt, bench.vkeys)


def test_another_receipts_proof_and_another_logs_keys_are_refused(bench: Bench) -> None:
    receipt = _logged(bench, _receipt())
    with pytest.raises(NoteError):
        check_receipt(receipt, CheckpointKeys.generate().vkeys(bench.origin))
    mine = _receipt(usage={"prompt_tokens": 1_000_000})
    with pytest.raises(ReceiptError):
        check_receipt({**mine, "log": receipt["log"]}, bench.vkeys)
    proof = read_tlog_proof(receipt["log"]["proof"])
    event = json.loads(proof.extra)
    event["unmapped"]["sovereign"]["receipt_digest"] = receipt_digest(mine)
    hashes = [base64.b64encode(one).decode() for one in proof.hashes]
    forged = tlog_proof(proof.index, hashes, proof.checkpoint, encode_entry(event, "gateway/i/r1/end"))
    with pytest.raises(NoteError, match="does not hold"):
        check_receipt({**mine, "log": {**receipt["log"], "proof": forged}}, bench.vkeys)


def _lines(text: str, *, drop: str = "", add: str = "") -> str:
    kept = [line for line in text.split("\n") if not drop or not line.startswith(drop)]
    return "\n".join(kept) + add


def test_a_proof_with_a_signature_less_a_line_more_or_no_text_is_refused(bench: Bench) -> None:
    receipt = _logged(bench, _receipt())
    proof: str = receipt["log"]["proof"]
    signatures = [line for line in proof.split("\n") if line.startswith("\N{EM DASH} ")]
    assert len(signatures) == 2
    damaged = [_lines(proof, drop=one) for one in signatures]
    damaged += [_lines(proof, add=more) for more in ("more\n", "\n", "\ud800\n", "x" * (1 << 20))]
    damaged += [proof.replace("index 300", "index 299"), proof.replace("index 300", "index 300\nindex 300")]
    for one in damaged:
        with pytest.raises(NoteError):
            check_receipt({**receipt, "log": {**receipt["log"], "proof": one}}, bench.vkeys)


def test_what_an_operator_wrote_is_no_answers_entry(bench: Bench) -> None:
    with pytest.raises(ReceiptError, match="not of an answer"):
        check_receipt(_logged(bench, _receipt(), entry_id="operator/i/r1/end"), bench.vkeys)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_damaged_proof_is_refused_and_never_misread(data: st.DataObject) -> None:
    hashes = [base64.b64encode(bytes([n]) * 32).decode() for n in range(3)]
    text = tlog_proof(5, hashes, "origin\n9\nroot\n\n— origin x\n", b"entry")
    found = read_tlog_proof(text)
    assert tlog_proof(found.index, hashes, found.checkpoint, found.extra) == text
    at = data.draw(st.integers(0, text.index("\n\n") - 1))
    damaged = text[:at] + data.draw(st.sampled_from(["", "\n", " ", "=", "A", "0", "é"])) + text[at + 1 :]
    try:
        other = read_tlog_proof(damaged)
    except NoteError:
        return
    said = [base64.b64encode(one).decode() for one in other.hashes]
    assert tlog_proof(other.index, said, other.checkpoint, other.extra) == damaged


def test_the_command_checks_a_receipt_wherever_it_was_saved_from(bench: Bench, tmp_path: Path) -> None:
    receipt = _logged(bench, _receipt(usage={"joules": 0.25}))
    keys, file, text = tmp_path / "vkeys", tmp_path / "receipt.json", tmp_path / "answer.txt"
    keys.write_text("".join(key.encode() + "\n" for key in bench.vkeys))
    text.write_bytes(ANSWER)
    app = typer.Typer()

    @app.callback()
    def root(context: typer.Context) -> None:
        context.obj = tmp_path / "site"

    app.add_typer(audit.app, name="audit")

    def run(*more: str) -> Any:
        return CliRunner().invoke(app, ["audit", "check-receipt", str(file), "--vkeys", str(keys), *more])

    for saved in (receipt, {"id": "x", "sovereign": {"receipt": receipt}}, {"answer": "…", "receipt": receipt}):
        file.write_text(json.dumps(saved, indent=1))
        result = run("--answer", str(text), "--output", "json")
        assert (result.exit_code, json.loads(result.stdout)["answer_matches"]) == (0, True)
    assert "the receipt holds: entry 300" in run().stdout
    text.write_bytes(b"something else")
    refused = run("--answer", str(text)).exception
    assert isinstance(refused, ReceiptError)
    assert refused.exit_code == 6
    file.write_text("[]")
    assert run().exit_code != 0
