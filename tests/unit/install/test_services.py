"""Services find the same runtime folder as the operator, whose environment they do not get."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from appliance.install.accounts import Accounts, service_names
from appliance.install.services import site_services
from appliance.site.load import load_site
from appliance.site.paths import SitePaths

CONFIG = load_site(Path(__file__).parents[3] / "appliance" / "install" / "site.example.yaml")
PATHS = SitePaths(Path("/srv/site"))
USERS = Accounts(dict.fromkeys(service_names(CONFIG), "someone"))


@pytest.mark.parametrize("runtime", ["/run/user/1000", None])
def test_without_root_a_service_looks_where_the_operator_looked(
    monkeypatch: pytest.MonkeyPatch, runtime: str | None
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    if runtime is not None:
        monkeypatch.setenv("XDG_RUNTIME_DIR", runtime)
    operators = PATHS.run
    stated = site_services(CONFIG, PATHS, USERS)[0].env
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    for name, value in stated.items():
        monkeypatch.setenv(name, value)
    assert PATHS.run == operators


def test_as_root_nothing_is_said_about_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert all("XDG_RUNTIME_DIR" not in service.env for service in site_services(CONFIG, PATHS, USERS))
