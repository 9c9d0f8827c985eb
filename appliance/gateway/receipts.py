"""The receipt: which model answered, made and signed by whom, drawn how, at what cost, and where the log says so.

The log's answer entry carries the digest of the receipt without its ``log`` part (``receipt_check``), because the
positions are known only once the entries are written. The ``log`` part carries the proof of that entry.
"""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from appliance.audit.commitment import commit
from appliance.audit.tlog_proof import tlog_proof
from appliance.gateway.judging import BETA

if TYPE_CHECKING:
    from appliance.audit.client import Position
    from appliance.gateway.jobs import Job
    from appliance.gateway.tally import Tally


def unlogged(job: Job, tally: Tally) -> dict[str, Any]:
    """The receipt without its place in the log.

    ``adapter``, ``pack``, ``rollout``, ``instructions`` and ``documents`` are there where an answer was given with
    them. ``confidence`` is there where it is measured, ``beta`` where a feature that is being tried changed the answer.
    ``timing`` and ``energy`` are null when an answer was broken off.
    """
    model = dict(job.model.receipt)
    adapters = model.pop("adapters", {})
    adapter = {} if job.grant.adapter is None else {"adapter": dict(adapters[job.grant.adapter])}
    told = job.grant.instructions.digests() if job.messages is not None else {}
    pack = job.grant.pack if job.messages is not None else None
    receipt = {
        "request_id": job.request_id,
        "model": model,
        **adapter,
        **({"pack": pack.receipt()} if pack is not None else {}),
        **({"rollout": job.grant.rollout.receipt()} if job.grant.rollout is not None else {}),
        **({"instructions": told} if told else {}),
        **({"documents": tally.rested} if tally.rested is not None else {}),
        **({"confidence": job.judging.receipt(tally.judged)} if job.judging is not None else {}),
        **({"beta": [BETA]} if tally.judged.outcome != "given" else {}),
        **({"sampler": job.sampling.receipt()} if job.inputs is None else {}),
        "usage": tally.usage,
        "timing": tally.timing,
        "energy": tally.energy,
        "commitments": {
            "prompt": commit(job.committed_prompt(), job.prompt_salt),
            "prompt_salt": _base64(job.prompt_salt),
            "answer": commit(tally.answer, tally.salt),
            "answer_salt": _base64(tally.salt),
        },
        "issued": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    }
    return {name: _plain(value) for name, value in receipt.items()}


def _plain(value: Any) -> Any:
    """Whole numbers without a fraction, as every reader of JSON spells them: the receipt's digest is over its text."""
    if isinstance(value, float):
        return int(value) if value.is_integer() else value
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value


def logged(receipt: dict[str, Any], request: Position, answer: Position) -> dict[str, Any]:
    """The receipt with its place in the log; the origin is the first line of the checkpoint that covers it.

    ``proof`` is a c2sp.org/tlog-proof of the answer's entry, with that entry in it: about 3.5 KB of signatures, a line
    for each doubling of the log, and the entry. None where the log's writer could make none: the entry is durable.
    """
    place = {
        "origin": answer.checkpoint.partition("\n")[0],
        "request_index": request.index,
        "answer_index": answer.index,
        "size": answer.size,
        "proof": tlog_proof(answer.index, answer.hashes, answer.checkpoint, answer.entry) if answer.entry else None,
    }
    return {**receipt, "log": place}


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
