"""Changing a model is cut off at any moment: the former or the new serves, and nothing that nobody decided for."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airgap_bundle.model_bundle import SHELF
from airgap_bundle.store import Store
from appliance.install import model_settle, model_switch, model_trial
from appliance.install.journal import read_journal
from appliance.install.model_import import bring
from appliance.install.model_settle import settle
from appliance.install.model_switch import promote
from appliance.models.serving import read_decisions
from appliance.site.load import load_site
from appliance.site.paths import SitePaths
from tests.site_of_models import NEW, OLD, GatedEngines, digest_of
from tests.unit.install.models.desk import WHY, logged, served
from tests.unit.models.small_release import NAME

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


KILLED = 9


def moments(monkeypatch: pytest.MonkeyPatch, engines: GatedEngines, wanted: int) -> None:
    """Kill this process, as a power cut would, at the ``wanted`` moment: before or after anything that lasts."""
    count = 0

    def tick() -> None:
        nonlocal count
        if count == wanted:
            os._exit(KILLED)
        count += 1

    def around(act: Callable[..., Any]) -> Callable[..., Any]:
        def acted(*arguments: Any, **more: Any) -> Any:
            tick()
            result = act(*arguments, **more)
            tick()
            return result

        return acted

    for module, name in ((model_switch, "note"), (model_trial, "write_decisions"), (model_settle, "note")):
        monkeypatch.setattr(module, name, around(getattr(module, name)))
    for name in ("stop", "start"):
        monkeypatch.setattr(engines, name, around(getattr(engines, name)))


def killed(monkeypatch: pytest.MonkeyPatch, engines: GatedEngines, wanted: int, act: Callable[[], object]) -> bool:
    """Do ``act`` in a process that is killed at the ``wanted`` moment; whether it came to that."""
    child = os.fork()
    if child == 0:
        moments(monkeypatch, engines, wanted)
        act()
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == KILLED


@pytest.fixture
def copies(brought: SitePaths, tmp_path: Path) -> Iterator[Callable[[int], SitePaths]]:
    """The site again, as often as it is asked for."""

    def copy(number: int) -> SitePaths:
        shutil.copytree(brought.root, tmp_path / str(number), symlinks=True)
        return SitePaths(tmp_path / str(number))

    return copy


def test_a_promotion_that_is_cut_off_anywhere_leaves_the_former_or_the_new_and_can_be_repeated(
    copies: Callable[[int], SitePaths], monkeypatch: pytest.MonkeyPatch
) -> None:
    outcomes = []
    for moment in range(100):
        paths = copies(moment)
        engines = GatedEngines(paths)
        engines.start(NAME)
        if not killed(monkeypatch, engines, moment, lambda p=paths, e=engines: promote(p, NAME, reason=WHY, engines=e)):
            break
        engines.start(NAME)  # a process of its own: it has loaded whatever it found
        settle(load_site(paths.site_yaml), paths, engines)
        decisions = read_decisions(paths, NAME)
        assert decisions.trial is None
        assert engines.loaded[NAME]["digest"] == served(paths)
        records = [r for r in read_journal(paths.journal) if r.step == "model-promote"]
        assert not records or records[-1].state == ("done" if served(paths) == digest_of(NEW) else "failed")
        outcomes.append(served(paths))
        assert promote(paths, NAME, reason=WHY, engines=engines).digest == digest_of(NEW)
        assert engines.loaded[NAME]["digest"] == served(paths) == digest_of(NEW)
    assert len(outcomes) >= 10
    assert outcomes == sorted(outcomes, key=[digest_of(OLD), digest_of(NEW)].index)
    assert set(outcomes) == {digest_of(OLD), digest_of(NEW)}


def test_an_import_that_is_cut_off_before_the_journal_heard_of_it_is_entered_by_the_next(
    paths: SitePaths, engines: GatedEngines, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert killed(monkeypatch, engines, 0, lambda: bring(paths, models, rehearse=False, engines=engines))
    assert Store(paths.store, SHELF).releases() == ("1.1.0",)
    assert logged(paths) == []
    assert bring(paths, models, rehearse=False, engines=engines).new == 0
    (entry,) = logged(paths)
    assert (entry["action"], entry["reason"]) == ("import", "Interrupted")


def test_a_decision_that_the_log_hears_of_after_a_power_cut_names_its_waivers(
    brought: SitePaths, engines: GatedEngines, monkeypatch: pytest.MonkeyPatch
) -> None:
    def note(*arguments: Any) -> None:
        if arguments[2] == "done":
            raise KeyboardInterrupt
        original(*arguments)

    original = model_switch.note
    with monkeypatch.context() as cut:
        cut.setattr(model_switch, "note", note)
        with pytest.raises(KeyboardInterrupt):
            promote(brought, NAME, reason=WHY, engines=engines)
    settle(load_site(brought.site_yaml), brought, engines)
    entry = logged(brought)[-1]
    assert (entry["status"], entry["waived"]) == ("Success", ["producer-verified", "conversion-closed"])
