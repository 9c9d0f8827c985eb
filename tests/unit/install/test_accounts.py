"""One user per service, engines included: no service can act as another."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from appliance.install.accounts import (
    accounts_for,
    accounts_present,
    load_accounts,
    make_accounts,
    service_names,
    standby_names,
)
from appliance.site.load import load_site
from appliance.site.paths import SitePaths, engine_service, standby_service

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


def test_a_change_that_is_refused_later_leaves_the_running_sites_engines_their_users(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Users are recorded before models pass their gate, and the site runs on with the former file where they do not."""
    monkeypatch.setattr(os, "geteuid", lambda: 1)
    paths = SitePaths(tmp_path)
    paths.users.parent.mkdir()

    def site_file(*models: str) -> SiteConfig:
        named = ", ".join(f"{{name: {model}}}" for model in models)
        paths.site_yaml.write_text(f"schema: 1\nname: trial\nmodels: [{named}]\ngroups: [{{name: a, models: [two]}}]\n")
        return load_site(paths.site_yaml)

    after, before = site_file("two", "three"), site_file("one", "two")
    make_accounts(before, paths, tmp_path / "registry")
    former = load_accounts(paths).users
    assert not accounts_present(after, paths)
    make_accounts(after, paths, tmp_path / "registry")
    found = load_accounts(paths).users
    assert former.items() <= found.items()
    assert {engine_service("three"), standby_service("three")} == found.keys() - former.keys()
    assert accounts_present(before, paths)
    assert accounts_present(after, paths)
    site_file("two", "three")
    make_accounts(after, paths, tmp_path / "registry")
    assert engine_service("one") not in load_accounts(paths).users
