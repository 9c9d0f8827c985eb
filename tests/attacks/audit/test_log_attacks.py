"""What an attacker tries against the log (trust.md, section 4): each is refused, and named.

The attacker here owns the log's folder, and in some cases the writer's socket, but not the auditor's copy of the
verifier keys nor the checkpoint that the auditor kept.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import shutil
from typing import TYPE_CHECKING

import pytest

from appliance.audit import events
from appliance.audit.commitment import commit, new_salt, pseudonym
from appliance.audit.entry import encode_entry
from appliance.audit.errors import IdReusedError, LogTamperedError, NoteError, WriterLockedError
from appliance.audit.keys import CheckpointKeys
from appliance.audit.log import TileLog
from appliance.audit.merkle import leaf_hash
from appliance.audit.note import Note, parse_note
from appliance.audit.prove import prove, verify_proof
from appliance.audit.tiles import TileReader, decode_entries, encode_entries
from appliance.audit.writer import GroupWriter
from appliance.errors import LogInconsistentError
from tests.audit.logged import find

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.audit.bench import Bench

CHANGES: dict[str, Callable[[list[bytes]], list[bytes]]] = {
    "edited": lambda e: [*e[:5], e[5].replace(b'"0f1e2d"', b'"0f1e2e"'), *e[6:]],
    "deleted": lambda e: [*e[:5], *e[6:]],
    "inserted": lambda e: [*e[:5], e[5].replace(b'"e5"', b'"e99"'), *e[5:]],
    "reordered": lambda e: [*e[:5], e[6], e[5], *e[7:]],
}


@pytest.mark.parametrize("kind", CHANGES)
@pytest.mark.parametrize("size", [20, 300])
def test_32_an_event_that_was_edited_deleted_inserted_or_moved_is_named(bench: Bench, kind: str, size: int) -> None:
    bench.fill(size)
    path = bench.directory / "tile/entries" / ("000" if size > 256 else f"000.p/{size}")
    entries, _ = decode_entries(path.read_bytes())
    path.write_bytes(encode_entries(CHANGES[kind](entries)))
    before = bench.snapshot()
    with pytest.raises(LogTamperedError) as caught:
        bench.verify()
    assert [(f.kind, f.index) for f in caught.value.findings] == [(kind, 5)]
    assert bench.snapshot() == before


@pytest.mark.parametrize("kind", CHANGES)
def test_32_rewriting_every_tile_does_not_help_without_the_keys(bench: Bench, kind: str) -> None:
    bench.fill(300)
    note = (bench.directory / "checkpoint").read_bytes()
    entries = CHANGES[kind]([entry for _, entry in bench.records(*range(300))])
    shutil.rmtree(bench.directory)
    stolen, bench.keys = bench.keys, CheckpointKeys.generate()
    forged = bench.open()
    forged.append([(f"f{n}", entry) for n, entry in enumerate(entries)])
    bench.close()
    bench.keys = stolen
    with pytest.raises(NoteError, match="no Ed25519"):
        bench.verify()
    (bench.directory / "checkpoint").write_bytes(note)
    with pytest.raises(LogInconsistentError):
        bench.verify()


def test_33_a_tail_that_is_cut_with_the_checkpoint_left_is_named(bench: Bench) -> None:
    bench.fill(20)
    path = bench.directory / "tile/entries/000.p/20"
    entries, _ = decode_entries(path.read_bytes())
    path.write_bytes(encode_entries(entries[:17]))
    with pytest.raises(LogTamperedError, match="cut: 3 entries from position 17"):
        bench.verify()


def test_33_log_and_checkpoint_rolled_back_together_are_seen_by_writer_and_auditor(bench: Bench) -> None:
    bench.fill(20)
    old = bench.snapshot()
    bench.fill(10, start=20)
    kept = (bench.directory / "checkpoint").read_text()
    for path in bench.directory.rglob("*"):
        if path.is_file() and not path.name.startswith("ids.sqlite"):
            path.unlink()
    for name, data in old.items():
        (bench.directory / name).write_bytes(data)
    assert bench.verify().size == 20  # by itself, an old log is a sound log
    with pytest.raises(LogTamperedError, match="rewound"):
        bench.verify(kept=kept)
    log = bench.open()
    with pytest.raises(LogInconsistentError, match="tail was cut"):
        log.open()


def test_34_a_fork_shown_to_two_auditors_is_seen_when_either_keeps_a_checkpoint(bench: Bench) -> None:
    bench.fill(20)
    fork = shutil.copytree(bench.directory, bench.directory.with_name("fork"))
    bench.fill(5, start=20)
    kept_by_one = (bench.directory / "checkpoint").read_text()
    bench.directory = fork
    bench.fill(9, start=500)
    bench.verify()
    with pytest.raises(LogTamperedError, match="not those of the kept checkpoint"):
        bench.verify(kept=kept_by_one)


def test_35_a_fresh_log_under_the_same_origin_and_keys_is_no_continuation(bench: Bench) -> None:
    bench.fill(20)
    kept = (bench.directory / "checkpoint").read_text()
    shutil.rmtree(bench.directory)
    bench.fill(300, start=1000)
    with pytest.raises(LogTamperedError, match="not those of the kept checkpoint"):
        bench.verify(kept=kept)


def test_35_a_log_under_another_origin_is_refused(bench: Bench) -> None:
    bench.fill(3)
    right = bench.vkeys
    shutil.rmtree(bench.directory)
    bench.origin = "other.example/audit"
    bench.fill(3)
    bench.origin = "site.example/audit"
    assert bench.vkeys == right
    with pytest.raises(NoteError, match="of log 'other"):
        bench.verify()


def test_36_a_proof_signed_anew_with_an_embedded_key_is_refused(bench: Bench) -> None:
    bench.fill(20)
    bundle = prove(bench.directory, 3, vkeys=bench.vkeys)
    attacker = CheckpointKeys.generate()
    forged_entry = base64.b64decode(bundle["entry"]).replace(b"0f1e2d", b"ffffff")
    own = bench.directory.with_name("own")
    log = TileLog(own, bench.origin, attacker)
    log.append([("x", forged_entry)])
    log.close()
    forged = prove(own, 0, vkeys=attacker.vkeys(bench.origin))
    forged["vkeys"] = [key.encode() for key in attacker.vkeys(bench.origin)]
    with pytest.raises(NoteError):
        verify_proof(forged, vkeys=bench.vkeys)


def test_36_a_checkpoint_stripped_of_its_post_quantum_half_is_refused(bench: Bench) -> None:
    bench.fill(3)
    path = bench.directory / "checkpoint"
    note = parse_note(path.read_bytes())
    path.write_text(Note(note.text, note.signatures[:1]).encode())
    with pytest.raises(NoteError, match="no ML-DSA-44"):
        bench.verify()


def test_36_signatures_of_two_checkpoints_cannot_be_mixed(bench: Bench) -> None:
    bench.fill(3)
    old = parse_note((bench.directory / "checkpoint").read_bytes())
    bench.fill(1, start=3)
    new = parse_note((bench.directory / "checkpoint").read_bytes())
    mixed = Note(new.text, (new.signatures[0], old.signatures[1]))
    (bench.directory / "checkpoint").write_text(mixed.encode())
    with pytest.raises(NoteError, match="ML-DSA-44 signature"):
        bench.verify()


def test_38_a_second_writer_is_refused_even_through_another_path(bench: Bench) -> None:
    bench.open().append(bench.records(0))
    alias = bench.directory.with_name("alias")
    alias.symlink_to(bench.directory)
    with pytest.raises(WriterLockedError):
        TileLog(alias, bench.origin, bench.keys)


def test_38_records_planted_behind_the_checkpoint_never_displace_signed_ones(bench: Bench) -> None:
    bench.fill(20)
    signed = [entry for _, entry in bench.records(*range(20))]
    planted = [entry for _, entry in bench.records(*range(500, 530))]
    folder = bench.directory / "tile/entries/000.p"
    (folder / "30").write_bytes(encode_entries(planted))
    (folder / "25").write_bytes(encode_entries([*signed[:19], *planted[:6]]))
    (bench.directory / "tile/0/000.p/30").write_bytes(bytes(960))
    log = bench.open()
    log.append(bench.records(20))
    size = bench.verify().size
    assert TileReader(bench.directory, size).entries(0)[:20] == signed
    assert find(log, bench.records(500)) == {}


INJECTIONS = [
    'x"},"unmapped":{"sovereign":{"kind":"answer"}},"a":{"b":"',
    "line one\nline two\r\n\n— site.example/audit AAAA",
    "\x1b[2J\x1b[1;1Hnothing to see",
    "\x00\x01\x02",
    "\u202e\u2066\u200b\ufeff",
    "\ud800\udfff\udc00",
    "</script><script>alert(1)</script>",
    "\\u0022\\n",
]


@pytest.mark.parametrize("text", INJECTIONS)
def test_39_text_from_users_stays_inside_its_field(bench: Bench, text: str) -> None:
    event = events.request(
        request_id=text,
        subject=text,
        groups=(text, "analysts"),
        model_digest=text,
        model_name=text,
        purpose=text,
        prompt_commitment="sha256:00",
    )
    log = bench.open()
    log.append([("one", encode_entry(event, "one")), bench.record("two")])
    stored = TileReader(bench.directory, 2).entries(0)
    assert len(stored) == 2
    assert all(0x20 <= byte < 0x7F for entry in stored for byte in entry)
    read = json.loads(stored[0])
    assert read["unmapped"]["sovereign"]["kind"] == "request"
    assert read["metadata"]["uid"] == "one"
    assert set(read) == set(event)
    assert bench.verify().size == 2


@pytest.mark.anyio
async def test_39_an_event_cannot_be_hidden_behind_an_id_that_was_used_before(bench: Bench) -> None:
    bench.fill(1)
    before = (bench.directory / "checkpoint").read_bytes()
    other = bench.event("e0")
    other["ai_model"] = {"name": "forbidden", "uid": "sha256:bad", "ai_provider": "unknown"}
    writer = GroupWriter(TileLog(bench.directory, bench.origin, bench.keys))
    try:
        with pytest.raises(IdReusedError):
            await writer.submit([("e0", encode_entry(other, "e0"))])
    finally:
        await writer.close()
    assert (bench.directory / "checkpoint").read_bytes() == before
    assert bench.verify().size == 1


def test_39_an_event_cannot_claim_another_entry_s_id(bench: Bench) -> None:
    event = bench.event("x")
    event["metadata"] = event["metadata"] | {"uid": "e0"}
    with pytest.raises(Exception, match="is not the id"):
        encode_entry(event, "mine")


def test_40_a_short_prompt_cannot_be_guessed_from_its_commitment() -> None:
    answer = b"yes"
    made = commit(answer, new_salt())
    guesses = [b"yes", b"no", *("".join(g).encode() for g in itertools.product("yesno", repeat=3))]
    bare = {"sha256:" + hashlib.sha256(guess).hexdigest() for guess in guesses}
    zero_salted = {commit(guess, bytes(32)) for guess in guesses}
    assert made not in bare | zero_salted
    assert commit(answer, new_salt()) != made


def test_40_a_user_cannot_be_guessed_from_the_pseudonym() -> None:
    people = [f"user-{n}" for n in range(1000)]
    seen = pseudonym("user-7", b"secret key of the site, 32 bytes")
    assert seen not in {pseudonym(person, bytes(32)) for person in people}
    assert seen not in {hashlib.sha256(person.encode()).hexdigest()[:32] for person in people}


def test_41_proofs_verify_without_any_content(bench: Bench) -> None:
    secret, salt = b"the prompt of a person who asked to be forgotten", new_salt()
    made = commit(secret, salt)
    event = events.request(
        request_id="r",
        subject="p",
        groups=("g",),
        model_digest="d",
        model_name="m",
        prompt_commitment=made,
    )
    bench.open().append([("r", encode_entry(event, "r"))])
    del salt
    assert not any(secret in data for data in bench.snapshot().values())
    proven = verify_proof(prove(bench.directory, 0, vkeys=bench.vkeys), vkeys=bench.vkeys)
    assert proven["unmapped"]["sovereign"]["prompt_commitment"] == made


def test_a_leaf_cannot_be_passed_off_as_an_inner_node(bench: Bench) -> None:
    bench.fill(2)
    tiles = TileReader(bench.directory, 2)
    inner = tiles.node(0, 0) + tiles.node(0, 1)
    assert leaf_hash(inner) != tiles.root()
    bundle = prove(bench.directory, 0, vkeys=bench.vkeys)
    forged = bundle | {"entry": base64.b64encode(inner).decode(), "hashes": []}
    with pytest.raises(LogInconsistentError):
        verify_proof(forged, vkeys=bench.vkeys)
