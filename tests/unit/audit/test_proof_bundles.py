"""A proof bundle convinces without the log, and nothing but the true entry at the true place."""

from __future__ import annotations

import base64
import copy
import json
from typing import TYPE_CHECKING, Any

import pytest

from appliance.audit.errors import NoteError
from appliance.audit.keys import CheckpointKeys
from appliance.audit.prove import prove, verify_proof
from appliance.errors import LogInconsistentError, UsageError

if TYPE_CHECKING:
    from tests.audit.bench import Bench


@pytest.fixture
def bundle(bench: Bench) -> dict[str, Any]:
    bench.fill(300)
    return prove(bench.directory, 260, vkeys=bench.vkeys)


@pytest.mark.parametrize("index", [0, 1, 255, 256, 299])
def test_every_entry_can_be_proven_and_the_proof_survives_json(bench: Bench, index: int) -> None:
    bench.fill(300)
    bundle = json.loads(json.dumps(prove(bench.directory, index, vkeys=bench.vkeys)))
    assert verify_proof(bundle, vkeys=bench.vkeys)["metadata"]["uid"] == f"e{index}"


def test_the_text_form_is_a_c2sp_proof(bundle: dict[str, Any]) -> None:
    head, checkpoint = bundle["tlog_proof"].split("\n\n", 1)
    lines = head.split("\n")
    assert lines[:2] == ["c2sp.org/tlog-proof@v1", "index 260"]
    assert lines[2:] == bundle["hashes"]
    assert checkpoint == bundle["checkpoint"]


def test_a_proof_of_ten_million_entries_would_stay_below_a_kilobyte(bundle: dict[str, Any]) -> None:
    hashes = (10**7 - 1).bit_length()
    assert hashes * 32 < 1024
    assert len(bundle["hashes"]) <= (300 - 1).bit_length()


@pytest.mark.parametrize("index", [-1, 300, 10**30])
def test_an_entry_that_does_not_exist_is_a_mistake_of_the_caller(bench: Bench, index: int) -> None:
    bench.fill(300)
    with pytest.raises(UsageError, match="is not in the log"):
        prove(bench.directory, index, vkeys=bench.vkeys)


def test_a_log_that_cannot_prove_its_entry_hands_out_nothing(bench: Bench) -> None:
    bench.fill(300)
    path = bench.directory / "tile/entries/000"
    path.write_bytes(path.read_bytes().replace(b'"demo"', b'"omed"', 1))
    with pytest.raises(LogInconsistentError, match="does not hold"):
        prove(bench.directory, 0, vkeys=bench.vkeys)


def _flip(text: str) -> str:
    raw = bytearray(base64.b64decode(text))
    raw[-1] ^= 1
    return base64.b64encode(bytes(raw)).decode()


@pytest.mark.parametrize(
    "change",
    [
        lambda b: b | {"index": 261},
        lambda b: b | {"index": -1},
        lambda b: b | {"index": True},
        lambda b: b | {"index": "260"},
        lambda b: b | {"entry": _flip(b["entry"])},
        lambda b: b | {"entry": 5},
        lambda b: b | {"entry": "***"},
        lambda b: b | {"hashes": b["hashes"][:-1]},
        lambda b: b | {"hashes": [*b["hashes"], b["hashes"][0]]},
        lambda b: b | {"hashes": [_flip(b["hashes"][0]), *b["hashes"][1:]]},
        lambda b: b | {"hashes": ["AA==", *b["hashes"][1:]]},
        lambda b: b | {"hashes": None},
        lambda b: b | {"checkpoint": b["checkpoint"].replace("300", "301", 1)},
        lambda b: b | {"checkpoint": None},
        lambda _: {},
    ],
)
def test_a_changed_proof_is_refused(bench: Bench, bundle: dict[str, Any], change: Any) -> None:
    with pytest.raises(LogInconsistentError):
        verify_proof(change(copy.deepcopy(bundle)), vkeys=bench.vkeys)


def test_a_checkpoint_that_is_no_text_is_refused(bench: Bench, bundle: dict[str, Any]) -> None:
    with pytest.raises(LogInconsistentError, match="malformed"):
        verify_proof(bundle | {"checkpoint": "\ud800"}, vkeys=bench.vkeys)


def test_claims_that_the_proof_does_not_need_are_not_believed(bench: Bench, bundle: dict[str, Any]) -> None:
    assert verify_proof(bundle | {"size": 7, "leaf_hash": "x", "origin": "x"}, vkeys=bench.vkeys)


def test_a_proof_under_foreign_keys_is_refused(bundle: dict[str, Any]) -> None:
    with pytest.raises(NoteError):
        verify_proof(bundle, vkeys=CheckpointKeys.generate().vkeys("site.example/audit"))
