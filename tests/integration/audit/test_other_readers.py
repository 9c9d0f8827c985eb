"""Our log read by an independent implementation: tessera's client, x/mod's note and tlog, formats' cosignatures.

The reader is ``sources/go/logreader``; it shares no code with ours. What it accepts, others will; what we change under
it, it refuses, so that its "yes" means something.
"""

from __future__ import annotations

import base64
import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from appliance.audit.cosigned import open_cosigned, parse_witnesses
from appliance.audit.merkle import leaf_hash
from appliance.audit.prove import prove
from tests.go_programs import build_go

if TYPE_CHECKING:
    from pathlib import Path

    from tests.audit.auditor import Auditor
    from tests.audit.bench import Bench

SIZES = (1, 2, 3, 7, 255, 256, 257, 300, 511, 513, 700)


@pytest.fixture(scope="session")
def reader() -> Path:
    return build_go("logreader")


def run(reader: Path, *arguments: object) -> dict[str, Any]:
    done = subprocess.run([reader, *map(str, arguments)], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def refusal(reader: Path, *arguments: object) -> str:
    done = subprocess.run([reader, *map(str, arguments)], capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stdout) == (1, "")
    return done.stderr


@pytest.fixture
def keys(bench: Bench, tmp_path: Path) -> Path:
    path = tmp_path / "vkeys"
    path.write_text("".join(key.encode() + "\n" for key in bench.vkeys))
    return path


def test_it_proves_every_entry_and_that_each_earlier_checkpoint_is_a_beginning(
    reader: Path, bench: Bench, keys: Path, tmp_path: Path
) -> None:
    earlier = []
    size = 0
    for grown in SIZES:
        bench.fill(grown - size, start=size)
        size = grown
        earlier.append(tmp_path / f"kept-{size}")
        earlier[-1].write_bytes((bench.directory / "checkpoint").read_bytes())
    found = run(reader, "read", bench.directory, keys, *earlier)
    assert (found["origin"], found["size"], found["proven"]) == (bench.origin, 700, 700)
    assert found["signers"] == [f"{key.name}+{key.key_id.hex()}" for key in bench.vkeys]
    assert found["earlier"] == list(SIZES)
    leaves = [base64.b64encode(leaf_hash(entry)).decode() for _, entry in bench.records(*range(700))]
    assert found["entries"] == leaves


@pytest.mark.parametrize("index", [0, 255, 256, 299])
def test_it_accepts_our_proofs_and_no_other_entry_for_them(
    reader: Path, bench: Bench, keys: Path, tmp_path: Path, index: int
) -> None:
    bench.fill(300)
    bundle = prove(bench.directory, index, vkeys=bench.vkeys)
    proof, entry = tmp_path / "proof", tmp_path / "entry"
    proof.write_text(bundle["tlog_proof"])
    entry.write_bytes(base64.b64decode(bundle["entry"]))
    found = run(reader, "proof", proof, entry, keys)
    assert (found["index"], found["size"], len(found["signers"])) == (index, 300, 2)
    entry.write_bytes(entry.read_bytes() + b" ")
    assert "invalid transparency proof" in refusal(reader, "proof", proof, entry, keys)


def test_it_refuses_an_edited_entry_a_foreign_key_and_a_fork(
    reader: Path, bench: Bench, keys: Path, tmp_path: Path
) -> None:
    bench.fill(300)
    path = bench.directory / "tile/entries/000"
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b'"demo"', b'"omed"', 1))
    assert "entry 0: invalid transparency proof" in refusal(reader, "read", bench.directory, keys)
    path.write_bytes(whole)
    assert run(reader, "read", bench.directory, keys)["proven"] == 300
    forked = type(bench)(tmp_path / "fork", bench.keys)
    forked.fill(200, start=1000)
    fork = forked.directory / "checkpoint"
    assert "invalid transparency proof" in refusal(reader, "read", bench.directory, keys, fork)
    stranger = type(bench)(tmp_path / "stranger")
    keys.write_text("".join(key.encode() + "\n" for key in stranger.vkeys))
    assert "no verifiable signatures" in refusal(reader, "read", bench.directory, keys)


def test_it_accepts_both_halves_of_our_witness_s_cosignature(
    reader: Path, bench: Bench, keys: Path, auditor: Auditor
) -> None:
    bench.fill(5)
    (bench.directory / "checkpoint").write_text(auditor.cosign())
    found = run(reader, "read", bench.directory, keys)
    assert (len(found["signers"]), found["unknown"]) == (2, 2)
    keys.write_text(keys.read_text() + (auditor.folder / "witness.vkeys").read_text())
    found = run(reader, "read", bench.directory, keys)
    ours = [f"{key.name}+{key.key_id.hex()}" for key in (*bench.vkeys, *auditor.keys.vkeys())]
    assert (found["signers"], found["unknown"]) == (ours, 0)


def test_we_accept_both_halves_of_its_cosignature(reader: Path, bench: Bench) -> None:
    bench.fill(5)
    made = run(reader, "cosign", "witness.example/w1", bench.directory / "checkpoint")
    witnesses = parse_witnesses("\n".join(made["vkeys"]))
    head, found = open_cosigned(made["checkpoint"].encode(), bench.vkeys, witnesses)
    assert [(one.witness, one.head.size) for one in found] == [("witness.example/w1", 5)]
    assert found[0].time > 0
    assert head.size == 5
