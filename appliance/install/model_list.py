"""What models a site holds: which serves, since when, by whose decision, and what policy says of it. Reading only."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from appliance.install.journal import read_journal
from appliance.install.model_history import activation, serving_now
from appliance.install.model_record import STEPS
from appliance.models.admission import assess_model, grounds, waived_until
from appliance.models.errors import ModelGateError
from appliance.models.record import parse_record
from appliance.models.serving import Decisions, DecisionsDamagedError, damaged_decisions, read_decisions
from appliance.models.shelf import damaged_bundles, held_models
from appliance.site.load import load_site

if TYPE_CHECKING:
    from appliance.install.journal import Record
    from appliance.models.admission import Grounds
    from appliance.models.shelf import Damaged, Held
    from appliance.site.paths import SitePaths

State = Literal["serving", "chosen", "former", "imported", "in release", "withdrawn", "unknown", "damaged"]


@dataclass(frozen=True)
class Listed:
    """One model. ``since`` and ``by``: of its state, as far as it is known; empty where not.

    ``state`` is chosen where it was decided for and site.yaml names no model so, and unknown where the decisions about
    its name are damaged; ``note`` says so then. A bundle that the store holds damaged has one row, of state damaged:
    which models were in it cannot be told, and ``note`` says what is damaged and how it is mended.

    ``verdict`` is the policy's on its papers, now: ``accepted``, ``waived until …`` or ``refused: …``. Its bytes are
    checked whenever an engine starts (`sovereign model verify` does so on demand).
    """

    name: str
    version: str
    role: str
    state: State
    served: bool
    since: str
    by: str
    reason: str
    digest: str
    artifact: str
    bundle: str
    signers: tuple[str, ...]
    verdict: str
    accepted: bool
    waived_until: str | None
    producer: str
    jurisdiction: str
    licence: str
    size: int
    note: str | None

    def data(self) -> dict[str, object]:
        """The row as JSON data."""
        return asdict(self)


def list_models(paths: SitePaths) -> tuple[Listed, ...]:
    """Every model of the active release and of the bundles taken in; after them, bundles that are damaged.

    Raises as ``grounds`` and ``held_models``.
    """
    found = grounds(paths)
    offered = {model.name for model in load_site(paths.site_yaml).models}
    models = held_models(paths, found.release)
    names = {held.name for held in models}
    damaged = damaged_decisions(paths, names)
    decisions = {name: damaged.get(name) or read_decisions(paths, name) for name in names}
    return (
        *(_listed(held, found, models, decisions[held.name], offered, paths) for held in models),
        *map(_damaged, damaged_bundles(paths)),
    )


def _damaged(bundle: Damaged) -> Listed:
    return Listed(
        name="",
        version="",
        role="",
        state="damaged",
        served=False,
        since="",
        by="",
        reason="",
        digest="",
        artifact="",
        bundle=bundle.version,
        signers=bundle.signers,
        verdict="",
        accepted=False,
        waived_until=None,
        producer="",
        jurisdiction="",
        licence="",
        size=0,
        note=f"{bundle}; {bundle.mend}",
    )


def _listed(  # noqa: PLR0913, PLR0917 - one private caller
    held: Held,
    found: Grounds,
    models: tuple[Held, ...],
    made: Decisions | DecisionsDamagedError,
    offered: set[str],
    paths: SitePaths,
) -> Listed:
    state: State = "unknown"
    since, by, reason, note = "", "", "", held.withdrawn
    if isinstance(made, DecisionsDamagedError):
        note = made.cause
    else:
        serving = held.name in offered and serving_now(models, made, held.name) == held
        state = _state(held, made, serving=serving)
        since, by, reason = _when(held, made, state, paths)
    record = parse_record(held.artifact.config)
    verdict, accepted = _verdict(held, found)
    waived = waived_until(record, found, datetime.now(UTC))
    return Listed(
        name=record.name,
        version=record.version,
        role=record.role,
        state=state,
        served=state == "serving",
        since=since,
        by=by,
        reason=reason,
        digest=held.weights,
        artifact=str(held.artifact.digest),
        bundle=held.bundle.version,
        signers=held.bundle.signers,
        verdict=verdict,
        accepted=accepted,
        waived_until=waived.isoformat(timespec="seconds") if waived else None,
        producer=record.producer.name,
        jurisdiction=record.producer.jurisdiction,
        licence=record.licence.spdx,
        size=record.weights.size,
        note=note,
    )


def _state(held: Held, made: Decisions, *, serving: bool) -> State:
    if serving:
        return "serving"
    if held.withdrawn is not None:
        return "withdrawn"
    if made.in_force is not None and held.is_choice(made.in_force):
        return "chosen"
    if any(held.is_choice(choice) for choice in made.made):
        return "former"
    return "in release" if held.from_release else "imported"


def _when(held: Held, made: Decisions, state: State, paths: SitePaths) -> tuple[str, str, str]:
    """Since when the model is in its state, who brought that about, and why."""
    choices = [choice for choice in made.made if held.is_choice(choice)]
    if state in {"serving", "chosen"} and choices:
        return choices[-1].since, choices[-1].by, choices[-1].reason
    if state == "former":  # since another came after it
        last = max(index for index, choice in enumerate(made.made) if held.is_choice(choice))
        after = made.made[last + 1] if last + 1 < len(made.made) else made.made[last]
        return after.since, after.by, after.reason
    if held.from_release:
        return (*activation(paths), f"release {held.bundle.version}")
    brought = _import(held, paths)
    return (brought.at, brought.detail.get("by", ""), "") if brought else ("", "", "")


def _import(held: Held, paths: SitePaths) -> Record | None:
    try:
        records = read_journal(paths.journal)
    except OSError:  # it is root's to read
        return None
    wanted = (STEPS["import"], "done", str(held.artifact.digest), held.bundle.version)
    return next((r for r in records if (r.step, r.state, r.digest, r.detail.get("bundle")) == wanted), None)


def _verdict(held: Held, found: Grounds) -> tuple[str, bool]:
    try:
        verdict = assess_model(held.name, found, held.bundle)
    except ModelGateError as error:
        return f"refused: {error.cause}", False
    if not verdict.ok:
        return f"refused: {', '.join(check.name for check in verdict.failed)}", False
    if not verdict.waivers_used:
        return "accepted", True
    return f"waived until {min(waiver.expires for waiver in verdict.waivers_used):%Y-%m-%d}", True
