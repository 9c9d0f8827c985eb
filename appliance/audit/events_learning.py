"""The learning loop in the log: that somebody said something of an answer, never what. Pure; everything by keyword."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from appliance.audit import ocsf
from appliance.audit.ocsf import Event, compact, envelope, maybe, scalars, text, texts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

_ACTIVITIES = {name.lower(): number for number, name in ocsf.ENTITY_MANAGEMENT.activities.items()}
Action = Literal["create", "read", "update", "delete"]


def feedback(  # noqa: PLR0913 - the fields of a person's word on an answer, by keyword
    *,
    subject: str,
    groups: tuple[str, ...],
    action: Action,
    verdict: str | None = None,
    reasons: Sequence[str] = (),
    corrected: bool = False,
    sent: bool = False,
    sent_to: str | None = None,
    asked: bool = False,
    at: datetime | None = None,
) -> Event:
    """A person marked an answer, changed that or took it back: ``verdict`` up or down, reasons from a short list.

    ``corrected``: they wrote what it should have said. ``sent``: they let the experts of a group, ``sent_to``, see
    question and answer. ``asked``: they want an answer from those.
    """
    ours = compact(
        {
            "kind": "feedback",
            "verdict": maybe(verdict),
            "reasons": texts(list(reasons)) or None,
            "corrected": corrected,
            "sent": sent,
            "sent_to": maybe(sent_to),
            "asked": asked or None,
        }
    )
    return _act(action, "feedback", "answer", {"user": ocsf.user(subject, groups)}, ours, at)


def expert_act(  # noqa: PLR0913 - the fields of an expert's act, by keyword
    *,
    subject: str,
    groups: tuple[str, ...],
    action: Action,
    what: Literal["queue", "failure", "ruling", "cases", "case", "brief", "answer"],
    target: str,
    details: Mapping[str, Any] | None = None,
    at: datetime | None = None,
) -> Event:
    """An expert looked at the ``queue``, at one ``failure`` or at all ``cases``, ruled, made or retired a case.

    Of an ``answer``: wrote one to whoever had asked, who is not named. Of a ``brief``: accepted it (update), struck a
    line of it, or took it back (delete).
    """
    ours = compact({"kind": "expert_act", "details": scalars(details) if details else None})
    return _act(action, what, target, {"user": ocsf.user(subject, groups)}, ours, at)


def learning_decision(  # noqa: PLR0913 - the fields of a decision, by keyword
    *,
    actor: str,
    what: Literal["evaluation", "gate", "cases", "pack", "brief", "rollout", "exchange", "calibration"],
    target: str,
    figures: Mapping[str, Any],
    action: Action = "create",
    success: bool = True,
    at: datetime | None = None,
) -> Event:
    """An operator evaluated, or let the gate decide (``success``: it passed), with every figure; or changed cases.

    Of a ``pack``: it came in, was put in force for a group, or was taken away, as ``figures`` say. Of a ``brief``: what
    was read for it (read), what it was compiled of (create), what was decided on it (update), that a line was struck or
    it was taken back (delete). Of a ``rollout``: it began (create), went on or was kept (update), was
    taken back (delete). Of an ``exchange``: a draft was made of what could leave the site (read), or an approved
    one left it (create), with its digest and counts. Of a ``calibration``: it was put in force (create), or did not
    hold, or was taken back.
    """
    ours = {"kind": "learning_decision", "figures": scalars(figures)}
    return _act(action, what, target, {"user": ocsf.user(actor, kind=2)}, ours, at, success=success)


def rollout_decision(
    *, target: str, figures: Mapping[str, Any], action: Literal["update", "delete"], at: datetime
) -> Event:
    """A gateway decided on the rollout ``target`` by itself: it goes on (update) or back (delete), with every figure.

    A kind of its own, so that a gateway that was taken over can write no word of the gate's or of an operator's.
    """
    ours = {"kind": "rollout_decision", "figures": scalars(figures)}
    actor = {"user": ocsf.user("gateway", kind=3)}
    return _act(action, "rollout", target, actor, ours, at, success=action == "update")


def _act(  # noqa: PLR0913, PLR0917 - private; the callers above are keyword-only
    action: Action,
    sort: str,
    target: str,
    actor: Event,
    ours: Event,
    at: datetime | None,
    *,
    success: bool = True,
) -> Event:
    return envelope(
        ocsf.ENTITY_MANAGEMENT,
        _ACTIVITIES[action],
        ours=ours,
        at=at,
        success=success,
        severity=ocsf.INFORMATIONAL if success else ocsf.LOW,
        fields={"actor": actor, "entity": {"name": text(target), "type": text(sort)}},
    )
