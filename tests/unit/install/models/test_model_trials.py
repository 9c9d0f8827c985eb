"""A trial that nobody ended is taken away by whoever comes next, and by nobody while it is under way."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from appliance.errors import DeploymentError
from appliance.install import host, model_settle, model_switch, model_trial, power
from appliance.install.host import Request, install
from appliance.install.lock import SiteBusyError, site_lock
from appliance.install.model_settle import settle
from appliance.install.model_switch import promote
from appliance.models.serving import Decisions, read_decisions, write_decisions
from appliance.site.load import load_site
from tests.site_of_models import OLD, GatedEngines, digest_of
from tests.unit.install.models.desk import WHY, put_on_trial
from tests.unit.models.small_release import NAME

if TYPE_CHECKING:
    from collections.abc import Mapping

    from appliance.site.paths import SitePaths


def test_an_engine_that_still_loads_a_trial_is_taken_off_it(
    brought: SitePaths, engines: GatedEngines, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_on_trial(brought, engines)
    with monkeypatch.context() as loading:
        loading.setattr(engines, "serves", lambda _model: None)
        settle(load_site(brought.site_yaml), brought, engines)
    assert engines.loaded[NAME]["digest"] == digest_of(OLD)


def test_a_trial_is_taken_away_only_while_no_engine_runs_on_it(
    brought: SitePaths, engines: GatedEngines, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[bool] = []

    put_on_trial(brought, engines)
    original = model_settle.put
    for module in (model_trial, model_settle):
        monkeypatch.setattr(module, "put", lambda *a: (ran.append(engines.runs(NAME)), original(*a)))
    settle(load_site(brought.site_yaml), brought, engines)
    monkeypatch.setattr(engines, "serves", lambda _model: {"digest": "another"})
    with pytest.raises(DeploymentError, match="something else"):
        promote(brought, NAME, reason=WHY, engines=engines)
    assert ran == [False, False]
    assert engines.loaded[NAME]["digest"] == digest_of(OLD)


def test_a_decision_that_cannot_be_written_leaves_the_former_serving(
    brought: SitePaths, engines: GatedEngines, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(brought: SitePaths, name: str, decisions: Decisions) -> None:
        if decisions.trial is None:
            raise DeploymentError("no space left on device")
        write_decisions(brought, name, decisions)

    monkeypatch.setattr(model_trial, "write_decisions", write)
    monkeypatch.setattr(model_switch, "write_decisions", write, raising=False)
    with pytest.raises(DeploymentError, match="no space"):
        promote(brought, NAME, reason=WHY, engines=engines)
    assert engines.loaded[NAME]["digest"] == digest_of(OLD)
    assert read_decisions(brought, NAME) == Decisions()


def test_an_installation_finds_no_trial(
    brought: SitePaths, engines: GatedEngines, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_on_trial(brought, engines)
    found: list[Decisions] = []
    release = SimpleNamespace(version="1.0.0", artifacts={})
    passed = SimpleNamespace(demand=lambda: None)
    values: Mapping[str, Any] = {
        "check_host": passed,
        "choose_python": Path("/usr/bin/python3"),
        "refuse_another": None,
        "admit": release,
        "Context": SimpleNamespace(only=lambda _kind: None),
        "check_fits": None,
        "install_steps": (),
        "SupervisedEngines": engines,
        "prepare_runtime": None,
        "spool": 0,
    }
    for name, value in values.items():
        monkeypatch.setattr(host, name, lambda *_, value=value, **__: value)
    monkeypatch.setattr(host, "execute", lambda *_: found.append(read_decisions(brought, NAME)) or ())
    files = SimpleNamespace(config=load_site(brought.site_yaml))
    monkeypatch.setattr(host, "site_files", lambda *_: files)
    request = Request(bundle=brought.root, config=None, root_fingerprint=None)
    install(brought, request, passphrase=bytes, observer=None, progress=lambda *_: None)  # type: ignore[arg-type]
    assert found == [Decisions()]
    assert engines.loaded[NAME]["digest"] == digest_of(OLD)


def test_at_boot_a_trial_is_taken_away_under_the_lock_and_before_secrets_are_unsealed(
    brought: SitePaths, engines: GatedEngines, monkeypatch: pytest.MonkeyPatch
) -> None:
    def prepare(*_: Any) -> None:
        seen.append(read_decisions(brought, NAME))
        with pytest.raises(SiteBusyError), site_lock(brought):
            pass

    seen: list[Decisions] = []
    put_on_trial(brought, engines)
    monkeypatch.setattr(power, "prepare_runtime", prepare)
    power.unseal(brought, passphrase=bytes)
    assert seen == [Decisions()]


def test_a_boot_unit_that_a_command_started_takes_no_trial_from_it_and_does_not_wait_for_it(
    brought: SitePaths, engines: GatedEngines, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Decisions] = []
    put_on_trial(brought, engines)
    trial = read_decisions(brought, NAME)
    monkeypatch.setattr(power, "prepare_runtime", lambda *_: seen.append(read_decisions(brought, NAME)))
    with site_lock(brought):
        power.unseal(brought, passphrase=bytes)
    assert seen == [trial]
    assert trial.trial is not None
