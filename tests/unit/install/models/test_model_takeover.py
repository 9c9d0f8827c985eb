"""A model is changed while people are answered: somebody always answers, and only what is in force or was."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest

from appliance.errors import DeploymentError
from appliance.install import model_beside, model_settle
from appliance.install.journal import read_journal
from appliance.install.model_settle import settle
from appliance.install.model_switch import promote, rollback
from appliance.models.serving import read_decisions
from appliance.site.load import load_site
from appliance.site.paths import SitePaths
from tests.site_of_models import NEW, OLD, GatedEngines, digest_of
from tests.unit.install.models.desk import WHY, served
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
    monkeypatch.setattr(model_beside, "GRACE_S", 0.0)


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


def test_an_engine_that_fails_after_its_standby_did_not_leaves_the_former_serving(brought: SitePaths) -> None:
    engines = paired(brought)
    engines.unfit = (digest_of(NEW),)
    with pytest.raises(DeploymentError, match="out of memory"):
        promote(brought, NAME, reason=WHY, engines=engines)
    assert engines.standby is not None
    assert (engines.loaded[NAME]["digest"], engines.standby.loaded, engines.diverted) == (digest_of(OLD), {}, [])
    assert served(brought) == digest_of(OLD)


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
