"""One command at a time, and no trace of the lock."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from appliance.errors import DeploymentError
from appliance.install.lock import site_lock
from appliance.site.paths import SitePaths

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SitePaths:
    monkeypatch.setattr(SitePaths, "run", property(lambda self: self.root / "base" / "run"))
    (tmp_path / "base").mkdir(mode=0o700)
    return SitePaths(tmp_path)


def test_a_second_command_is_turned_away_while_the_first_works(paths: SitePaths) -> None:
    with site_lock(paths), pytest.raises(DeploymentError, match="another sovereign command"), site_lock(paths):
        pass


def test_the_lock_is_free_again_and_leaves_nothing(paths: SitePaths) -> None:
    for _ in range(2):
        with site_lock(paths):
            pass
    assert list((paths.root / "base").iterdir()) == []


def test_the_lock_is_freed_by_a_failure(paths: SitePaths) -> None:
    with pytest.raises(KeyError), site_lock(paths):
        raise KeyError
    with site_lock(paths):
        pass
