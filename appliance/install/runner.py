"""Runs steps: in dependency order, side by side where they allow it, each at most once, resumable after any crash.

A step is skipped only if the journal's last word on it is "done", the digest of its inputs is the same, its outputs
are there, and none of the steps it builds on was done after it. Everything else runs; so ``run`` must cope with
whatever an interrupted earlier run left behind.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from appliance.errors import DeploymentError
from appliance.install.journal import beside

if TYPE_CHECKING:
    from appliance.install.journal import Journal

Advance = Callable[[int, int], None]
"""``advance(done, total)`` in bytes."""
WORKERS = 4


def _always() -> bool:
    return True


def _nothing() -> Mapping[str, str]:
    return {}


@dataclass(frozen=True)
class Step:
    """One unit of work. ``inputs`` is asked when every step in ``after`` is done.

    ``run`` gets a progress callback and returns details worth keeping in the journal (never secrets).
    ``after`` names the steps it builds on, ``behind`` those that must merely have gone first.
    ``present`` says cheaply whether the step's outputs are there. ``plan`` says what ``run`` is about to change: it
    is in the journal before that is done, so that no crash hides it, and again with how the step ended.
    """

    name: str
    title: str
    inputs: Callable[[], Mapping[str, str]]
    run: Callable[[Advance], Mapping[str, str] | None]
    after: tuple[str, ...] = ()
    behind: tuple[str, ...] = ()
    present: Callable[[], bool] = field(default=_always)
    plan: Callable[[], Mapping[str, str]] = field(default=_nothing)


class Observer(Protocol):
    """Watches a run; called from several threads."""

    def started(self, step: Step) -> None:
        """The step's start is in the journal and its work begins."""

    def advanced(self, step: Step, done: int, total: int) -> None:
        """So many of the step's bytes are done."""

    def finished(self, step: Step, seconds: float) -> None:
        """The step's completion is in the journal."""

    def skipped(self, step: Step) -> None:
        """Nothing to do."""

    def failed(self, step: Step) -> None:
        """The step's failure is in the journal."""


def input_digest(step: Step) -> str:
    """Digest of the step's name and inputs, as journaled."""
    canonical = json.dumps({"step": step.name, "inputs": dict(step.inputs())}, sort_keys=True, ensure_ascii=True)
    return "sha256:" + hashlib.sha256(canonical.encode()).hexdigest()


def is_current(step: Step, digest: str, journal: Journal) -> bool:
    """Whether ``step`` may be skipped (see the module's docstring). Its predecessors must have been settled."""
    done = journal.done(step.name)
    if done is None or done.digest != digest:
        return False
    before = (journal.done(name) for name in step.after)
    return all(r is not None and r.seq < done.seq for r in before) and step.present()


def execute(steps: Sequence[Step], journal: Journal, observer: Observer) -> tuple[str, ...]:
    """Bring every step up to date; the names of those that ran, in order of completion.

    When one fails, no further step is started, those under way are waited for, and its error is raised: a
    ``SovereignError`` or ``BundleError`` as it is, an ``OSError`` as ``DeploymentError``.
    """
    waiting = _in_order(steps)
    ran: list[str] = []
    settled: set[str] = set()
    failure: BaseException | None = None
    running: dict[Future[bool], Step] = {}
    with ThreadPoolExecutor(max_workers=WORKERS, thread_name_prefix="step") as pool:
        while running or (waiting and failure is None):
            ready = [s for s in waiting if failure is None and settled.issuperset((*s.after, *s.behind))]
            waiting = [s for s in waiting if s not in ready]
            running.update({pool.submit(_settle, s, journal, observer): s for s in ready})
            finished, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in finished:
                step = running.pop(future)
                error = future.exception()
                failure = failure or error
                if error is None:
                    settled.add(step.name)
                    ran += [step.name] if future.result() else []
    if isinstance(failure, OSError):
        raise DeploymentError(
            f"{failure.filename or 'the host'}: {(failure.strerror or str(failure)).lower()}",
            "mend the cause and run the command again; it resumes where it stopped",
        ) from failure
    if failure is not None:
        raise failure
    return tuple(ran)


def _settle(step: Step, journal: Journal, observer: Observer) -> bool:
    """Skip or run one step; whether it ran."""
    digest = input_digest(step)
    if is_current(step, digest, journal):
        observer.skipped(step)
        return False
    plan = dict(step.plan())
    journal.append(step.name, "started", digest, plan)
    observer.started(step)
    begun = time.monotonic()
    try:
        detail = step.run(lambda done, total: observer.advanced(step, done, total))
    except BaseException as error:
        with beside(error):
            journal.append(step.name, "failed", digest, plan | {"error": type(error).__name__})
        observer.failed(step)
        raise
    os.sync()  # a power cut must not find the journal ahead of the files that it speaks of
    journal.append(step.name, "done", digest, plan | dict(detail or {}))
    observer.finished(step, time.monotonic() - begun)
    return True


def _in_order(steps: Sequence[Step]) -> list[Step]:
    """The steps in a possible order. A cycle or an unknown name is a defect, not an operator's mistake."""
    left = list(steps)
    ordered: list[Step] = []
    names: set[str] = set()
    while left:
        ready = [s for s in left if names.issuperset((*s.after, *s.behind))]
        if not ready:
            raise ValueError(f"steps wait for each other: {[s.name for s in left]}")
        ordered += ready
        names.update(s.name for s in ready)
        left = [s for s in left if s.name not in names]
    return ordered
