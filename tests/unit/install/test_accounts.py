"""One user per service, engines included: no service can act as another."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from appliance.install.accounts import accounts_for, service_names, standby_names
from appliance.site.load import load_site

if TYPE_CHECKING:
    import pytest

    from appliance.site.config import SiteConfig

EXAMPLE = load_site(Path(__file__).parents[3] / "appliance" / "install" / "site.example.yaml")


def config(*models: str) -> SiteConfig:
    return EXAMPLE.model_copy(
        update={"models": tuple(EXAMPLE.models[0].model_copy(update={"name": m}) for m in models)}
    )


def test_as_root_no_two_services_share_a_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    site = config("small", "large", "la.rge")
    users = accounts_for(site).users
    assert set(users) == {*service_names(site), *standby_names(site)}
    alone = [users[name] for name in service_names(site)]
    assert len(set(alone)) == len(alone)


def test_what_stands_in_for_an_engine_is_it_to_everybody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    site = config("small", "large")
    users = accounts_for(site).users
    assert [users[name] for name in standby_names(site)] == [users[f"engine-{m.name}"] for m in site.models]


def test_a_users_name_is_one_that_useradd_takes_whatever_the_model_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    for user in accounts_for(config("7.b_" + "x" * 59, "0")).users.values():
        assert re.fullmatch(r"[a-z_][a-z0-9_-]{0,31}", user)


def test_a_models_user_stays_its_own_when_other_models_come_and_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    alone, beside = accounts_for(config("small")), accounts_for(config("large", "small"))
    assert alone.user("engine-small") == beside.user("engine-small")


def test_without_root_everything_runs_as_the_installing_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1)
    assert len(set(accounts_for(config("small", "large")).users.values())) == 1
