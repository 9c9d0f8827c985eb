"""Who writes what: every kind of event belongs to one role, and every id begins with the name of its role.

So a service that was taken over can add false entries of its own kind and no others, and can occupy no id under which
another would write. Callers make their ids here (``Role.id``) and the writer judges by the same table (``Roles``).

Sorts of events are told apart twice, by OCSF's classification and by ``unmapped.sovereign.kind``; readers go by either,
so an event counts as of a kind only where the two agree. So do words beside OCSF's numbers, where an event has any:
earlier releases wrote them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from appliance.audit import ocsf
from appliance.audit.apart import require_own
from appliance.audit.errors import NotYoursError
from appliance.audit.ocsf import Event, EventClass, classification, words
from appliance.audit.open_requests import BEGUN, ENDED, step

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_ANY = None
_KINDS: Mapping[str, tuple[EventClass, int | None]] = {
    "sign_in": (ocsf.AUTHENTICATION, 1),
    "sign_out": (ocsf.AUTHENTICATION, 2),
    "request": (ocsf.API_ACTIVITY, 1),
    "answer": (ocsf.API_ACTIVITY, 99),
    "refusal": (ocsf.API_ACTIVITY, 1),
    "model_load": (ocsf.APPLICATION_LIFECYCLE, 3),
    "install_step": (ocsf.APPLICATION_LIFECYCLE, _ANY),
    "model_change": (ocsf.APPLICATION_LIFECYCLE, _ANY),
    "log_recovery": (ocsf.APPLICATION_LIFECYCLE, 5),
    "log_pruned": (ocsf.APPLICATION_LIFECYCLE, 2),
    "clock_behind": (ocsf.APPLICATION_LIFECYCLE, 99),
    "log_read": (ocsf.ENTITY_MANAGEMENT, 2),
    "memory_read": (ocsf.ENTITY_MANAGEMENT, 2),
    "feedback": (ocsf.ENTITY_MANAGEMENT, _ANY),
    "expert_act": (ocsf.ENTITY_MANAGEMENT, _ANY),
    "learning_decision": (ocsf.ENTITY_MANAGEMENT, _ANY),
    "rollout_decision": (ocsf.ENTITY_MANAGEMENT, _ANY),
    "document_change": (ocsf.ENTITY_MANAGEMENT, 1),
    "admin_change": (ocsf.ENTITY_MANAGEMENT, _ANY),
    "identity_sign_in": (ocsf.AUTHENTICATION, 1),
    "identity_sign_out": (ocsf.AUTHENTICATION, 2),
    "account_change": (ocsf.ACCOUNT_CHANGE, _ANY),
    "identity_change": (ocsf.ENTITY_MANAGEMENT, _ANY),
    "identity_reading": (ocsf.APPLICATION_LIFECYCLE, 3),
    "api_call": (ocsf.API_ACTIVITY, _ANY),
    "network_refusal": (ocsf.NETWORK_ACTIVITY, 5),
    "cluster_reading": (ocsf.APPLICATION_LIFECYCLE, 3),
}

KINDS = frozenset(_KINDS)
"""Every kind of entry."""

_EXPECTED = {
    (event_class.uid, activity): (
        {name: value for name, value in classification(event_class, activity).items() if isinstance(value, int)},
        words(event_class, activity),
    )
    for event_class, _ in _KINDS.values()
    for activity in event_class.activities
}
_STEPS = {BEGUN: {"request"}, ENDED: {"answer", "refusal"}}


@dataclass(frozen=True)
class Role:
    """Who writes to the log: ``kinds`` under ids that begin with ``name``, of one ``model`` where it is set."""

    name: str
    kinds: frozenset[str]
    model: str | None = None

    def id(self, *parts: str) -> str:
        """An id of this role's."""
        return "/".join((self.name, *parts))

    def owns(self, entry_id: str, event: Event) -> bool:
        """Whether this role may append ``event`` under ``entry_id``."""
        named = self.model is None or _models(event) == {self.model}
        kind = kind_of(event)
        return named and kind in self.kinds and entry_id.startswith(f"{self.name}/") and _steps(entry_id, kind)


GATEWAY = Role(
    "gateway",
    frozenset(
        {
            *("sign_in", "sign_out", "request", "answer", "refusal"),
            *("log_read", "memory_read", "document_change", "feedback", "expert_act"),
            "rollout_decision",
        }
    ),
)
IDENTITY = Role(
    "identity",
    frozenset({"identity_sign_in", "identity_sign_out", "account_change", "identity_change", "identity_reading"}),
)  # what Keycloak recorded; gateways read it there
CLUSTER = Role(
    "cluster", frozenset({"api_call", "network_refusal", "cluster_reading"})
)  # what a cluster's hosts observed; the collector beside the writer takes it from them
OPERATOR = Role("operator", frozenset({"install_step", "model_change", "admin_change", "learning_decision"}))
WRITER = Role(
    "writer", frozenset({"log_recovery", "log_pruned", "clock_behind"})
)  # the writer's own; no uid has it. It also ends gateways' requests


def engine(model: str) -> Role:
    """The role of the engine that serves ``model``: it speaks of that model only."""
    return Role(f"engine/{model}", frozenset({"model_load"}), model)


@dataclass(frozen=True)
class Roles:
    """Which roles each uid has. Where one user runs several services, they cannot be told apart: it has all theirs."""

    by_uid: Mapping[int, tuple[Role, ...]]

    @classmethod
    def of_holders(cls, holders: Iterable[tuple[int | None, Role]]) -> Self:
        """Roles from who holds each; one that nobody holds (uid None) is left out, so that nobody can use it."""
        by_uid: dict[int, tuple[Role, ...]] = {}
        for uid, role in holders:
            if uid is not None:
                by_uid[uid] = (*by_uid.get(uid, ()), role)
        return cls(by_uid)

    def admit(self, uid: int | None, entry_id: str, event: Event) -> None:
        """Raises ``NotYoursError`` unless one role of ``uid`` owns both the kind of ``event`` and ``entry_id``.

        Raises ``EntryRefusedError`` where the event says what only the writer knows.
        """
        require_own(event)
        if not any(role.owns(entry_id, event) for role in self.of(uid)):
            kind = kind_of(event) or "an event of no kind that is logged here"
            raise NotYoursError(
                f"{_whom(uid)} may not append {kind} as {entry_id!a}",
                "a writer appends its own kinds (an engine of its own model) under ids that begin with its role's name",
            )

    def of(self, uid: int | None) -> tuple[Role, ...]:
        """Roles of ``uid``. Raises ``NotYoursError`` when it has none: such a peer reads, and appends nothing."""
        roles = self.by_uid.get(uid, ()) if uid is not None else ()
        if not roles:
            raise NotYoursError(f"{_whom(uid)} writes nothing to this log", "services and root append; others may read")
        return roles


def kind_of(event: Event) -> str | None:
    """The kind of ``event``, when its classification is that of the kind it names; else None."""
    ours = _object(_object(event, "unmapped"), "sovereign")
    kind = ours.get("kind")
    if not isinstance(kind, str) or kind not in _KINDS:
        return None
    event_class, only = _KINDS[kind]
    activity = event.get("activity_id")
    if type(activity) is not int or activity not in event_class.activities or only not in {_ANY, activity}:
        return None
    numbers, said = _EXPECTED[event_class.uid, activity]
    agree = numbers.items() <= event.items() and all(event.get(name, word) == word for name, word in said.items())
    return kind if agree else None


def _steps(entry_id: str, kind: str | None) -> bool:
    """Whether an id that begins or ends a request is that of an event which does so."""
    kinds = _STEPS.get(entry_id.rpartition("/")[2])
    return kinds is None or kind in kinds or step(entry_id) is None


def _models(event: Event) -> set[str]:
    """Every name that the event gives a model."""
    return {str(_object(event, field).get("name")) for field in ("app", "ai_model")}


def _object(event: Event, field: str) -> Event:
    value = event.get(field)
    return value if isinstance(value, dict) else {}


def _whom(uid: int | None) -> str:
    return f"uid {uid}" if uid is not None else "a peer without credentials"
