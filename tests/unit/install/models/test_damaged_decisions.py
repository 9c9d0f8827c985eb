"""A damaged file with decisions costs the engine that it is about, and nothing else."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from appliance.install import model_switch, power
from appliance.install.accounts import accounts_for
from appliance.install.model_list import list_models
from appliance.install.model_settle import settle
from appliance.install.model_switch import promote
from appliance.install.services import site_services
from appliance.install.startup import startable
from appliance.install.status_warnings import model_warnings
from appliance.install.steps.site import _chosen, _loadable
from appliance.models.admission import grounds
from appliance.models.serving import Decisions, read_decisions, write_decisions
from appliance.site.load import load_site
from appliance.site.paths import SitePaths, engine_service
from tests.site_of_models import OLD, GatedEngines, digest_of
from tests.unit.install.models.desk import WHY, logged, put_on_trial
from tests.unit.models.small_release import NAME


def test_a_damaged_decision_costs_one_engine_and_no_command_of_the_site(
    brought: SitePaths, engines: GatedEngines, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_on_trial(brought, engines)
    config = load_site(brought.site_yaml)
    two = config.model_copy(update={"models": (*config.models, config.models[0].model_copy(update={"name": "other"}))})
    whole = site_services(two, brought, accounts_for(two))
    write_decisions(brought, "other", Decisions(trial=read_decisions(brought, NAME).trial))
    assert startable(two, brought, whole) == whole
    brought.serving("other").write_text("{")
    settle(two, brought, engines)
    assert engines.loaded[NAME]["digest"] == digest_of(OLD)
    assert brought.serving("other").read_text() == "{"
    services = {s.name: s for s in startable(two, brought, whole)}
    assert engine_service(NAME) in services
    assert engine_service("other") not in services
    assert engine_service("other") not in services["gateway"].after
    assert services["gateway"].probe.path == "/healthz"
    installing = SimpleNamespace(config=two, paths=brought, release=grounds(brought).release)
    assert _loadable(installing) == config  # type: ignore[arg-type]
    assert _chosen(installing) == {}  # type: ignore[arg-type]
    (warning,) = model_warnings(two, brought)
    assert "engine of other will not start" in warning
    monkeypatch.setattr(power, "_installed", lambda _paths: two)
    down = power.kept_down(brought)
    assert down is not None
    assert (down.exit_code, "engine-other stays down" in down.cause) == (5, True)


def test_the_list_shows_models_whose_decisions_are_damaged_and_does_not_guess_which_serves(
    brought: SitePaths, engines: GatedEngines
) -> None:
    promote(brought, NAME, reason=WHY, engines=engines)
    brought.serving(NAME).write_text("{")
    rows = list_models(brought)
    assert [(row.bundle, row.state, row.served) for row in rows] == [
        ("1.0.0", "unknown", False),
        ("1.1.0", "unknown", False),
    ]
    assert all("cannot be read" in str(row.note) for row in rows)


def test_what_the_journal_left_open_about_a_damaged_decision_waits_until_it_is_restored(
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
    whole = brought.serving(NAME).read_bytes()
    brought.serving(NAME).write_bytes(whole[:-5])
    before = logged(brought)
    settle(load_site(brought.site_yaml), brought, engines)
    assert logged(brought) == before
    brought.serving(NAME).write_bytes(whole)
    settle(load_site(brought.site_yaml), brought, engines)
    assert logged(brought)[-1]["status"] == "Success"
