"""Renewing a site's certificates starts what shows them where the site is up, and nothing where it was stopped."""

from __future__ import annotations

from contextlib import nullcontext
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from appliance.install import renewal
from appliance.install.steps.secrets import SERVERS
from appliance.site.paths import SitePaths

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("up", [True, False])
def test_a_site_that_was_stopped_stays_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, up: bool) -> None:
    done: list[str] = []
    journal = SimpleNamespace(close=lambda: done.append("closed"))
    stop = SimpleNamespace(stop=lambda service: done.append(f"stop {service.name}"))
    services = [SimpleNamespace(name=name) for name in ("other", *SERVERS)]

    def issue(*_: object) -> None:
        done.append("issued")

    for name in ("renewable", "load_accounts", "certificates_step", "prepare_runtime", "startable", "active_version"):
        monkeypatch.setattr(renewal, name, lambda *_: None)
    monkeypatch.setattr(renewal, "site_lock", lambda _: nullcontext())
    monkeypatch.setattr(renewal, "Journal", SimpleNamespace(open=lambda _: journal))
    monkeypatch.setattr(renewal, "replace", lambda step, **_: step)
    monkeypatch.setattr(renewal, "execute", issue)
    monkeypatch.setattr(renewal, "site_services", lambda *_: services)
    monkeypatch.setattr(renewal, "choose_supervision", lambda _: stop)
    monkeypatch.setattr(renewal, "start_services", lambda *_: done.append("started"))
    monkeypatch.setattr(renewal, "spool", lambda *_: None)
    paths = SitePaths(tmp_path)
    monkeypatch.setattr(renewal, "is_unsealed", lambda asked: asked == paths and up)
    renewal.renew(paths, passphrase=lambda: b"", observer=None, ready=None)  # type: ignore[arg-type]  # not used here
    assert done[:2] == ["issued", "closed"]
    assert done[2:] == ([*(f"stop {name}" for name in reversed(SERVERS)), "started"] if up else [])
