"""The entries that the log's benchmark measures are those that a gateway writes of a question and of its answer."""

from __future__ import annotations

from typing import Any

import pytest

from appliance.audit.entry import decode_entry, encode_entry
from appliance.audit.open_requests import end_id, step
from appliance.audit.roles import GATEWAY
from tests.audit.ocsf_schema import faults
from tests.bench.audit_entries import DOCUMENTS, PASSAGES, RESTED, SPANS, Questions, Sizes, digest


def _ours(event: dict[str, Any]) -> dict[str, Any]:
    return dict(event["unmapped"]["sovereign"])


@pytest.mark.parametrize("number", [0, 7, 499_999])
@pytest.mark.parametrize("plain", [False, True])
def test_a_question_leaves_two_entries_as_the_log_spells_them(number: int, *, plain: bool) -> None:
    pair = Questions(plain=plain).pair(number)
    (request_id, request), (answer_id, answer) = map(decode_entry, pair)
    assert tuple(map(encode_entry, (request, answer), (request_id, answer_id))) == pair
    assert faults(request) == faults(answer) == []
    found = step(request_id)
    assert found == (request_id.rpartition("/")[0], True)
    assert end_id(found[0]) == answer_id
    assert GATEWAY.owns(request_id, request)
    assert GATEWAY.owns(answer_id, answer)
    assert request["metadata"]["correlation_uid"] in request_id
    assert _ours(answer)["request_index"] == 2 * number
    assert _ours(answer)["receipt_digest"] == digest(f"receipt {number}")


def test_an_answer_rests_on_documents_that_its_question_was_shown() -> None:
    request, answer = (_ours(decode_entry(one)[1]) for one in Questions().pair(DOCUMENTS - 1))
    assert (len(request["passages"]), len(answer["documents"]), len(answer["spans"])) == (PASSAGES, RESTED, SPANS)
    told = [one.rpartition(" ") for one in request["passages"]]
    documents = [source if " " in source else told[int(source) - 1][0] for source, _, _ in told]
    assert len(set(documents)) == len(set(answer["documents"])) == RESTED
    ranges = [tuple(map(int, characters.split("-"))) for _, _, characters in told]
    for span in answer["spans"]:
        number, _, characters = span.partition(" ")
        (first, last), (begins, ends) = map(int, characters.split("-")), ranges[int(number) - 1]
        assert begins <= first < last <= ends
    plain = [_ours(decode_entry(one)[1]) for one in Questions(plain=True).pair(1)]
    assert not any({"passages", "documents", "spans"} & set(one) for one in plain)


def test_no_two_questions_share_an_id_a_commitment_or_a_digest() -> None:
    made = [decode_entry(one) for number in range(50) for one in Questions().pair(number)]
    assert len({name for name, _ in made}) == 100
    for field in ("prompt_commitment", "answer_commitment", "receipt_digest"):
        assert len({_ours(event)[field] for _, event in made if field in _ours(event)}) == 50


def test_sizes_are_those_of_the_entries() -> None:
    sizes = Sizes()
    for length in (3, 8, 4):
        sizes.add(b"x" * length)
    assert sizes.told() == {"entries": 3, "mean_bytes": 5.0, "largest_bytes": 8}
