"""One night for one group: choose, write down, judge, put in force. Each step is kept before the next.

What is called from here (the judge, the log, the engine) is handed in, so that a night can be cut off at every step in
a test. A run that was cut off is gone on with where it is: one that was still choosing chooses again, one that was
being judged is judged on, as long as nothing changed underneath. The brief that is in force is not touched before the
very last step, which is one transaction.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from appliance.gateway.errors import ConflictError
from appliance.gateway.history import estimated_tokens
from appliance.memory.brief_choice import chosen
from appliance.memory.briefs import OPEN, changes, digest, rendered

if TYPE_CHECKING:
    import uuid
    from collections.abc import Mapping

    from appliance.cli.memory_site import Desk
    from appliance.gateway.brief_inputs import Inputs
    from appliance.gateway.brief_values import Brief, Run
    from appliance.learning.briefs import Judged
    from appliance.site.groups import Group

SEED = 1
"""Of the choice between equals, and of the answers that are judged: anybody can repeat a night."""

_TAKEN_BACK = "the same brief was taken back before; accept it by name, or leave it"


@dataclass
class Energy:
    """What a night may take, in joules, and what it took."""

    most: float
    spent: float = 0.0

    @property
    def over(self) -> bool:
        """Whether nothing more is to be computed tonight."""
        return self.spent >= self.most


@dataclass(frozen=True)
class Waiting:
    """The brief is not judged, and why: another night goes on, or somebody accepts it by name."""

    cause: str


class Judge(Protocol):
    """Says whether a brief passes the gate."""

    async def __call__(self, brief: Brief, before: Brief | None, group: Group) -> Judged | Waiting:
        """The gate's decision, or why there is none."""


class Enter(Protocol):
    """Puts an act into the log."""

    async def __call__(self, action: str, target: str, figures: Mapping[str, Any], *, success: bool = True) -> None:
        """Returns once it is durable."""


class Compute(Protocol):
    """Has the engine compute what the group is told, so that it is there in the morning."""

    async def __call__(self, group: Group, text: str) -> None:
        """Returns once it is computed, or cannot be."""


class Stage(Protocol):
    """Gives a brief to a group by shares (``rollout_nights``)."""

    async def rolled_out(self, group: str) -> uuid.UUID | None:
        """The brief that is on its way, if one is."""

    async def begin(self, run: Run) -> None:
        """Give it to the first share. Raises ``ConflictError`` where another rollout runs in the group."""


@dataclass
class Night:
    """The work of a night."""

    desk: Desk
    energy: Energy
    judge: Judge
    enter: Enter
    compute: Compute
    stage: Stage | None = None
    """How a brief is rolled out, and whether one is; None where there is no such thing."""

    async def of(self, group: Group) -> Run:
        """The group's run, as far as it came tonight. While a brief is rolled out, that one's: nothing is chosen."""
        store = self.desk.store
        if self.stage is not None and (rolled := await self.stage.rolled_out(group.name)) is not None:
            return (await store.one(rolled, [group.name])).run
        in_force = await store.in_force(group.name)
        inputs = await self._read(group, in_force)
        latest = await store.latest(group.name)
        if latest is not None and latest.state not in OPEN and latest.inputs == inputs.digest:
            return await self._empty(group, inputs, "nothing changed")
        brief = await self._left(latest, inputs, in_force)
        if brief is None:
            found = await self._compiled(group, inputs, in_force)
            if found is None:
                return await self._empty(group, inputs, "no other sentence than before")
            brief = found
        if brief.run.state != "judged":
            run = await self._judged(brief, in_force, group)
            if run.state != "judged":
                return run
        else:
            run = brief.run
        return await self._decided(run, group)

    async def _read(self, group: Group, in_force: Brief | None) -> Inputs:
        since = in_force.run.created if in_force is not None else None
        inputs = await self.desk.inputs.of_group(group.name, since)
        if inputs.failures:  # they were opened to be weighed
            await self.enter("read", f"failures of {group.name}", {"failures": inputs.failures})
        return inputs

    async def _left(self, latest: Run | None, inputs: Inputs, in_force: Brief | None) -> Brief | None:
        """The run that an earlier night left, if what it was compiled of and what is in force are as they were."""
        if latest is None or latest.state not in {"compiled", "judged"} or latest.inputs != inputs.digest:
            return None
        if latest.against != (in_force.run.id if in_force is not None else None):
            return None
        found = await self.desk.store.one(latest.id, [latest.group])
        whole = latest.figures is not None and latest.figures.get("digest") == found.digest
        return found if whole else None

    async def _compiled(self, group: Group, inputs: Inputs, in_force: Brief | None) -> Brief | None:
        """A new brief, written down; None where there is nothing new to tell."""
        run = await self.desk.store.begin(group.name)
        tokens = self.desk.site.memory.compile.tokens
        lines = chosen(inputs.offers, inputs.needs, tokens, estimated_tokens, SEED)
        before = in_force.lines if in_force is not None else ()
        changed = changes(before, lines)
        if not lines or not (changed.new or changed.gone):
            return None
        figures = {
            "group": group.name,
            "digest": digest(rendered(lines)),
            "lines": len(lines),
            "new": len(changed.new),
            "gone": len(changed.gone),
            "rulings": sum(one.spot.kind == "ruling" for one in lines),
            "documents": inputs.documents,
            "failures": inputs.failures,
            "contradicting": list(inputs.contradicting),
            "tokens": estimated_tokens(rendered(lines)),
        }
        await self.enter("create", str(run.id), _for_the_log(figures))
        return await self.desk.store.compiled(run, lines, inputs.digest, figures)

    async def _judged(self, brief: Brief, in_force: Brief | None, group: Group) -> Run:
        """The run with the judge's word. What people took back waits for theirs, however good it is."""
        if brief.digest is not None and await self.desk.store.taken_back(group.name, brief.digest):
            return await self.desk.store.note(brief.run, "compiled", _TAKEN_BACK)
        before = self.energy.spent
        try:
            found = await self.judge(brief, in_force, group)
        finally:
            spent = brief.run.joules + self.energy.spent - before
            await self.desk.store.note(brief.run, brief.run.state, brief.run.cause, joules=spent)
        if isinstance(found, Waiting):
            return await self.desk.store.note(brief.run, "compiled", found.cause)
        about = {"passed": found.passed, "refusals": list(found.refusals), "gate": found.figures}
        figures = {**(brief.run.figures or {}), **about}
        return await self.desk.store.note(brief.run, "judged", None, figures=figures)

    async def _decided(self, run: Run, group: Group) -> Run:
        figures = dict(run.figures or {})
        passed = bool(figures.get("passed"))
        gate = dict(figures.get("gate") or {})
        await self.enter("update", str(run.id), {"group": group.name, **gate}, success=passed)
        if not passed:
            return await self.desk.store.note(run, "refused", "; ".join(figures.get("refusals", ())) or "the gate")
        if self.stage is not None and self.desk.site.memory.compile.staged:
            return await self._staged(run, group)
        try:
            brief = await self.desk.store.put_in_force(run)
        except ConflictError as error:
            return await self.desk.store.note(run, "replaced", error.cause, inputs=None)  # so that it is compiled anew
        await self.compute(group, brief.text)
        return brief.run

    async def _staged(self, run: Run, group: Group) -> Run:
        """Give it to the first share; it stays judged until everybody has it. What runs already has its turn first."""
        assert self.stage is not None
        try:
            await self.stage.begin(run)
        except ConflictError as error:
            return await self.desk.store.note(run, "judged", error.cause)
        await self.compute(group, (await self.desk.store.one(run.id, [group.name])).text)
        return run

    async def _empty(self, group: Group, inputs: Inputs, cause: str) -> Run:
        """A night that changes nothing: one row for as many of them as follow each other."""
        store = self.desk.store
        latest = await store.latest(group.name)
        again = latest is not None and latest.state in OPEN | {"empty"}
        run = latest if latest is not None and again else await store.begin(group.name)
        return await store.note(run, "empty", cause, inputs=inputs.digest)


def _for_the_log(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Lists in the log are bounded: how many, and the first of them."""
    named = list(figures["contradicting"])
    return {**figures, "contradicting": named[:10], "contradicting_count": len(named)}
