"""Events of choosing a model: one is brought to the site, put in the place of another, or put back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from appliance.audit import ocsf
from appliance.audit.ocsf import Event, compact, envelope, maybe, text, texts

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

Action = Literal["import", "promote", "rollback"]
_INSTALL, _UPDATE = 1, 8


def model_change(  # noqa: PLR0913 - the fields of a decision, by keyword
    *,
    action: Action,
    model_name: str,
    model_digest: str,
    actor: str,
    reason: str | None = None,
    former_digest: str | None = None,
    artifact_digest: str | None = None,
    bundle: str | None = None,
    signers: Sequence[str] = (),
    waived: Sequence[str] = (),
    success: bool = True,
    detail: str | None = None,
    at: datetime | None = None,
) -> Event:
    """``actor`` imported a model, or decided for ``reason`` that it serves in the place of ``former_digest``.

    ``bundle`` is the release or bundle of models that it comes from, ``signers`` those who signed that, ``waived`` the
    checks that rested on a waiver. Where ``success`` is False nothing changed, and ``detail`` says why.
    """
    ours = compact(
        {
            "kind": "model_change",
            "action": action,
            "reason": maybe(reason),
            "former_digest": maybe(former_digest),
            "artifact_digest": maybe(artifact_digest),
            "bundle": maybe(bundle),
            "signers": texts(list(signers)),
            "waived": texts(list(waived)),
        }
    )
    fields: Event = {
        "app": {"name": text(model_name)},
        "ai_model": ocsf.model(model_name, model_digest, None),
        "actor": {"user": ocsf.user(actor, kind=2)},
    }
    if detail:
        fields["status_detail"] = text(detail)
    return envelope(
        ocsf.APPLICATION_LIFECYCLE,
        _INSTALL if action == "import" else _UPDATE,
        ours=ours,
        at=at,
        success=success,
        severity=ocsf.INFORMATIONAL if success else ocsf.MEDIUM,
        profiles=("ai_operation", "host"),
        fields=fields,
    )
