"""A model is changed while people are answered: somebody always answers, and only what is in force or was."""

from __future__ import annotations

import os
import shutil
import signal
from typing import TYPE_CHECKING, Any

import pytest

from appliance.errors import DeploymentError
from appliance.gateway.answers import MAX_SECONDS
from appliance.install import model_beside, model_settle
from appliance.install.journal import read_journal
from appliance.install.model_settle import settle
from appliance.install.model_switch import promote, rollback
from appliance.install.status_warnings import standby_warnings
from appliance.install.supervision.interface import Running
from appliance.models.serving import read_decisions
from appliance.site.load import load_site
from appliance.site.paths import SitePaths
from tests.site_of_models import NEW, OLD, GatedEngines, digest_of
from tests.unit.install.models.desk import WHY, logged, served
from tests.unit.install.models.killing import killed
from tests.unit.models.small_release import NAME

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


def paired(paths: SitePaths) -> GatedEngines:
    """The site's engine, running, with room for a second one."""
    engines = GatedEngines(paths, standby=GatedEngines(paths))
    engines.start(NAME)
    return engines


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for pause in ("GRACE_S", "_POLL_S"):
        monkeypatch.setattr(model_beside, pause, 0.0)


def watch(monkeypatch: pytest.MonkeyPatch, engines: GatedEngines) -> list[str]:
    """Digests of what answers before and after every step that is taken."""
    seen: list[str] = []

    def around(act: Callable[..., Any]) -> Callable[..., Any]:
        def acted(*arguments: Any) -> Any:
            seen.append(engines.answering[NAME]["digest"])
            result = act(*arguments)
            seen.append(engines.answering[NAME]["digest"])
            return result

        return acted

    for one in (engines, engines.standby):
        for name in ("start", "stop", "divert", "restore"):
            monkeypatch.setattr(one, name, around(getattr(one, name)))
    return seen


def test_somebody_answers_at_every_moment_of_a_promotion_and_of_its_rollback(
    brought: SitePaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    engines = paired(brought)
    seen = watch(monkeypatch, engines)
    done = promote(brought, NAME, reason=WHY, engines=engines)
    assert (done.paused, served(brought)) == (None, digest_of(NEW))
    assert seen == sorted(seen, key=[digest_of(OLD), digest_of(NEW)].index), "never back and forth"
    assert engines.standby is not None
    assert (engines.loaded[NAME]["digest"], engines.standby.loaded, engines.diverted) == (digest_of(NEW), {}, [])
    seen.clear()
    assert rollback(brought, NAME, reason=WHY, engines=engines).paused is None
    assert engines.loaded[NAME]["digest"] == digest_of(OLD)
    assert set(seen) == {digest_of(OLD), digest_of(NEW)}


def test_a_model_that_does_not_come_up_costs_nobody_an_answer(
    brought: SitePaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    engines = paired(brought)
    assert engines.standby is not None
    engines.standby.unfit = (digest_of(NEW),)
    seen = watch(monkeypatch, engines)
    with pytest.raises(DeploymentError, match="out of memory"):
        promote(brought, NAME, reason=WHY, engines=engines)
    assert set(seen) == {digest_of(OLD)}
    assert engines.starts == [digest_of(OLD)], "the engine that serves was never touched"
    assert (served(brought), read_decisions(brought, NAME).trial) == (digest_of(OLD), None)


def test_an_engine_that_fails_after_its_standby_did_not_leaves_the_standby_serving_what_was_decided(
    brought: SitePaths,
) -> None:
    engines = paired(brought)
    engines.unfit = (digest_of(NEW),)
    with pytest.raises(DeploymentError, match=r"by its second engine alone: .*out of memory") as told:
        promote(brought, NAME, reason=WHY, engines=engines)
    assert told.value.hint
    assert served(brought) == engines.answering[NAME]["digest"] == digest_of(NEW)
    assert [one["status"] for one in logged(brought)][1:] == ["Success"]
    settle(load_site(brought.site_yaml), brought, engines)
    assert engines.answering[NAME]["digest"] == digest_of(NEW), "an end that cannot be reached yet takes nothing away"
    rollback(brought, NAME, reason=WHY, engines=engines)
    assert engines.standby is not None
    assert (engines.loaded[NAME]["digest"], engines.standby.loaded, engines.diverted) == (digest_of(OLD), {}, [])


@pytest.mark.parametrize("moment", ["divert", "stop", "start", "restore"])
def test_whoever_interrupts_after_the_decision_is_in_force_stops_no_answer(
    brought: SitePaths, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    engines = paired(brought)
    act = getattr(engines, moment)

    def cut(model: str) -> None:
        if moment == "divert" or engines.diverted:
            raise KeyboardInterrupt
        act(model)

    with monkeypatch.context() as context:
        context.setattr(engines, moment, cut)
        with pytest.raises(KeyboardInterrupt):
            promote(brought, NAME, reason=WHY, engines=engines)
        assert engines.standby is not None
        assert engines.standby.loaded[NAME]["digest"] == served(brought) == digest_of(NEW)
        assert moment == "divert" or engines.answering[NAME]["digest"] == digest_of(NEW)
    settle(load_site(brought.site_yaml), brought, engines)
    assert (engines.loaded[NAME]["digest"], engines.standby.loaded, engines.diverted) == (digest_of(NEW), {}, [])


def test_an_engine_that_ended_by_itself_and_loads_the_trial_goes_back_when_that_is_undone(
    brought: SitePaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The memory for two was not there after all: the kernel ended the one that served, its manager starts it again."""
    engines = paired(brought)
    loading = [True]

    def start(_: str) -> None:
        engines.stop(NAME)
        engines.start(NAME)  # it finds what is on trial
        assert engines.loaded[NAME]["digest"] == digest_of(NEW)
        raise DeploymentError("standby-tiny does not start: out of memory")

    def serves(model: str) -> Any:
        return None if loading and loading.pop() else engines.loaded.get(model)

    serving = engines.serves
    monkeypatch.setattr(engines.standby, "start", start)
    monkeypatch.setattr(engines, "serves", lambda m: serves(m) if engines.starts[-1] == digest_of(NEW) else serving(m))
    with pytest.raises(DeploymentError, match="out of memory"):
        promote(brought, NAME, reason=WHY, engines=engines)
    assert engines.loaded[NAME]["digest"] == served(brought) == digest_of(OLD)


def test_neither_engine_is_stopped_while_somebody_waits_for_its_answer(
    brought: SitePaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    engines = paired(brought)
    assert engines.standby is not None
    left: list[int] = []
    for one in (engines, engines.standby):
        one.answering_still = 5
        stop = one.stop
        monkeypatch.setattr(one, "stop", lambda m, one=one, stop=stop: (left.append(one.answering_still), stop(m)))
    promote(brought, NAME, reason=WHY, engines=engines)
    assert left == [0, 0]


def test_an_answer_that_never_ends_holds_a_change_up_no_longer_than_the_gateway_holds_answers(
    brought: SitePaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert model_beside.ANSWER_S == MAX_SECONDS
    assert model_beside.GRACE_S >= 0
    engines = paired(brought)
    engines.answering_still = 1 << 40
    clock = iter(range(1 << 20))
    monkeypatch.setattr(model_beside.time, "monotonic", lambda: float(next(clock)))
    assert promote(brought, NAME, reason=WHY, engines=engines).paused is None
    assert next(clock) < 2 * MAX_SECONDS


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM])
def test_a_lost_terminal_undoes_a_trial_as_ctrl_c_does(
    brought: SitePaths, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    engines = paired(brought)
    before = signal.signal(number, signal.SIG_DFL)
    try:
        monkeypatch.setattr(engines.standby, "start", lambda _: os.kill(os.getpid(), number))
        with pytest.raises(KeyboardInterrupt):
            promote(brought, NAME, reason=WHY, engines=engines)
        assert signal.getsignal(number) is signal.SIG_DFL
    finally:
        signal.signal(number, before)
    assert (served(brought), read_decisions(brought, NAME).trial) == (digest_of(OLD), None)
    assert [one["status"] for one in logged(brought)][1:] == ["Failure"]


def test_a_second_engine_that_runs_is_told_of_and_one_that_does_not_is_not() -> None:
    ran = {"model tiny, taking over": Running("starting", 7), "model other, taking over": Running("stopped")}
    (warning,) = standby_warnings(ran)
    assert "model tiny" in warning
    assert "`sovereign up`" in warning


def test_what_diverts_requests_is_taken_away_before_anything_runs(brought: SitePaths) -> None:
    brought.run.mkdir(parents=True, exist_ok=True)
    brought.diverted(NAME).touch()
    settle(load_site(brought.site_yaml), brought, None)
    assert not brought.diverted(NAME).exists()


def test_without_memory_for_two_the_change_says_that_nobody_was_answered(brought: SitePaths) -> None:
    engines = paired(brought)
    engines.lacking = "a second engine takes 900 MiB, and 100 MiB are free"
    done = promote(brought, NAME, reason=WHY, engines=engines)
    assert done.paused == engines.lacking
    assert engines.loaded[NAME]["digest"] == digest_of(NEW)
    assert engines.standby is not None
    assert engines.standby.starts == []


@pytest.fixture
def copies(brought: SitePaths, tmp_path: Path) -> Iterator[Callable[[int], SitePaths]]:
    """The site again, as often as it is asked for."""

    def copy(number: int) -> SitePaths:
        shutil.copytree(brought.root, tmp_path / str(number), symlinks=True)
        return SitePaths(tmp_path / str(number))

    return copy


def test_a_takeover_that_is_cut_off_anywhere_is_brought_to_one_end(
    copies: Callable[[int], SitePaths], monkeypatch: pytest.MonkeyPatch
) -> None:
    outcomes = []
    for moment in range(100):
        paths = copies(moment)
        engines = paired(paths)
        state = paths.root / "engines"
        act = lambda p=paths, e=engines: promote(p, NAME, reason=WHY, engines=e)  # noqa: E731 - the process that is killed
        if not killed(monkeypatch, engines, moment, act, state):
            break
        engines = GatedEngines.recalled(paths, state)  # processes of their own: the killed one did not take them along
        settle(load_site(paths.site_yaml), paths, engines)
        if not engines.runs(NAME):
            engines.start(NAME)  # `sovereign up` starts what does not run
        assert engines.standby is not None
        assert (engines.standby.loaded, engines.diverted) == ({}, [])
        assert read_decisions(paths, NAME).trial is None
        assert engines.loaded[NAME]["digest"] == served(paths)
        records = [r for r in read_journal(paths.journal) if r.step == "model-promote"]
        assert not records or records[-1].state == ("done" if served(paths) == digest_of(NEW) else "failed")
        outcomes.append(served(paths))
        assert promote(paths, NAME, reason=WHY, engines=engines).digest == digest_of(NEW)
    assert len(outcomes) >= 14
    assert outcomes == sorted(outcomes, key=[digest_of(OLD), digest_of(NEW)].index)
    assert set(outcomes) == {digest_of(OLD), digest_of(NEW)}


def test_an_engine_that_still_serves_the_former_is_left_alone_when_a_trial_is_undone(
    brought: SitePaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    engines = paired(brought)

    def cut(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as context:
        context.setattr(engines.standby, "start", cut)
        context.setattr(engines.standby, "stop", cut)
        with pytest.raises(KeyboardInterrupt):
            promote(brought, NAME, reason=WHY, engines=engines)
    assert read_decisions(brought, NAME).trial is not None
    stopped: list[str] = []
    monkeypatch.setattr(engines, "stop", stopped.append)
    model_settle.settle(load_site(brought.site_yaml), brought, engines)
    assert stopped == []
    assert read_decisions(brought, NAME).trial is None
