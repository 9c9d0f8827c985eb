"""What the log records: one builder per kind of event. Pure; everything by keyword; never raw content.

``subject`` is a pseudonym (commitment.pseudonym), content appears as a commitment (commitment.commit) only. ``at`` is
when it happened, now when left out. The result goes to ``AuditClient.append`` as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from appliance.audit import ocsf
from appliance.audit.events_models import model_change
from appliance.audit.events_operation import admin_change, install_step, model_load
from appliance.audit.events_sign_in import sign_in, sign_out
from appliance.audit.ocsf import Event, compact, envelope, maybe, text, texts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

__all__ = [
    "admin_change",
    "answer",
    "install_step",
    "model_change",
    "model_load",
    "refusal",
    "request",
    "sign_in",
    "sign_out",
]

Groups = tuple[str, ...]
_GATEWAY = {"name": "gateway"}


def request(  # noqa: PLR0913 - the fields of a request, by keyword
    *,
    request_id: str,
    subject: str,
    groups: Groups,
    model_digest: str,
    model_name: str,
    prompt_commitment: str,
    purpose: str | None = None,
    operation: str = "chat.completions",
    prompt_tokens: int | None = None,
    client_id: str | None = None,
    producer: str | None = None,
    sampler: Mapping[str, Any] | None = None,
    passages: Sequence[str] | None = None,
    at: datetime | None = None,
) -> Event:
    """A request was admitted. Must be durable before the first token leaves.

    ``passages``: where documents were asked for, each that the model is shown, as ``DOCUMENT VERSION FIRST-LAST``, or
    as ``NUMBER FIRST-LAST`` where the passage of that number in this list, from 1, is of the same version.
    """
    ours = compact(
        {
            "kind": "request",
            "prompt_commitment": text(prompt_commitment),
            "purpose": maybe(purpose),
            "client_id": maybe(client_id),
            "sampler": ocsf.scalars(sampler) if sampler else None,
            "passages": texts(list(passages)) if passages is not None else None,
        }
    )
    fields = _call(subject, groups, operation, None)
    fields["ai_model"] = ocsf.model(model_name, model_digest, producer)
    fields["message_context"] = compact({"ai_role_id": 1, "service": _GATEWAY, "prompt_tokens": prompt_tokens})
    return envelope(
        ocsf.API_ACTIVITY, 1, ours=ours, at=at, profiles=("ai_operation",), correlation=request_id, fields=fields
    )


def answer(  # noqa: PLR0913 - the fields of an answer, by keyword
    *,
    request_id: str,
    subject: str,
    groups: Groups,
    model_digest: str,
    model_name: str,
    outcome: str,
    prompt_tokens: int,
    completion_tokens: int,
    joules: float,
    duration_ms: float,
    answer_commitment: str,
    cached_tokens: int = 0,
    energy_method: str = "estimated",
    request_index: int | None = None,
    purpose: str | None = None,
    operation: str = "chat.completions",
    producer: str | None = None,
    receipt_digest: str | None = None,
    tool_calls: Mapping[str, int] | None = None,
    documents: Sequence[str] = (),
    spans: Sequence[str] = (),
    rollout: str | None = None,
    confidence: float | None = None,
    abstained: str | None = None,
    at: datetime | None = None,
) -> Event:
    """What a request cost and how it ended: ``outcome`` is ``stop``, ``length``, ``cancelled`` or ``error``.

    ``tool_calls``: how often the answer called which tool. ``documents``: digests of the files that it rests on;
    ``spans``: where in them, as ``NUMBER FIRST-LAST`` with the number of a passage in the request's entry. ``rollout``:
    in which arm of which staged rollout it was given, as ``ID new`` or ``ID old``. The receipt, whose digest this entry
    has, says the same in full where a list here is cut. ``confidence``: how often answers like it were right, where
    that is known; ``abstained``: why it was withheld from whoever asked, who paid for it all the same.
    """
    ours = compact(
        {
            "kind": "answer",
            "outcome": text(outcome),
            "answer_commitment": text(answer_commitment),
            "cached_tokens": int(cached_tokens),
            "joules": round(float(joules), 3),
            "energy_method": text(energy_method),
            "duration_ms": round(float(duration_ms), 1),
            "request_index": request_index,
            "purpose": maybe(purpose),
            "receipt_digest": maybe(receipt_digest),
            "tool_calls": ocsf.scalars(tool_calls) if tool_calls else None,
            "documents": texts(list(documents)) if documents else None,
            "spans": texts(list(spans)) if spans else None,
            "rollout": maybe(rollout),
            "confidence": round(min(1.0, max(0.0, float(confidence))), 3) if confidence is not None else None,
            "abstained": maybe(abstained),
        }
    )
    fields = _call(subject, groups, operation, 200)
    fields["ai_model"] = ocsf.model(model_name, model_digest, producer)
    fields["message_context"] = {
        "ai_role_id": 2,
        "service": _GATEWAY,
        "prompt_tokens": int(prompt_tokens),
        "completion_tokens": int(completion_tokens),
    }
    return envelope(
        ocsf.API_ACTIVITY,
        99,
        ours=ours,
        at=at,
        success=outcome != "error",
        profiles=("ai_operation",),
        correlation=request_id,
        fields=fields,
    )


def refusal(  # noqa: PLR0913 - the fields of a refusal, by keyword
    *,
    request_id: str,
    reason_code: str,
    status: int,
    subject: str | None = None,
    groups: Groups = (),
    model_name: str | None = None,
    purpose: str | None = None,
    operation: str = "chat.completions",
    detail: str | None = None,
    at: datetime | None = None,
) -> Event:
    """A request that was not served: ``reason_code`` as in the problem details, ``status`` as in HTTP."""
    ours = compact(
        {
            "kind": "refusal",
            "reason_code": text(reason_code),
            "purpose": maybe(purpose),
            "model_name": maybe(model_name),
        }
    )
    fields = _call(subject, groups, operation, status)
    fields |= {"status_code": text(reason_code), **ocsf.DENIED}
    if detail:
        fields["status_detail"] = text(detail)
    return envelope(
        ocsf.API_ACTIVITY,
        1,
        ours=ours,
        at=at,
        success=False,
        severity=ocsf.LOW,
        profiles=("security_control",),
        correlation=request_id,
        fields=fields,
    )


def _call(subject: str | None, groups: Groups, operation: str, status: int | None) -> Event:
    """The fields that every API Activity event needs: actor, api, source. The request's id correlates them, once."""
    actor: Event = {"app_name": "sovereign"}
    if subject is not None:
        actor["user"] = ocsf.user(subject, groups)
    api: Event = {"operation": text(operation), "service": _GATEWAY}
    if status is not None:
        api["response"] = {"code": int(status)}
    return {"actor": actor, "api": api, "src_endpoint": _GATEWAY}
