"""A service's user owns its folder: what it lays there must not be what root writes through, reads or gives away."""

from __future__ import annotations

import os
import pwd
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from appliance.errors import DeploymentError
from appliance.install.database import cluster, create_cluster
from appliance.install.logs import log_tail
from appliance.install.process import Account
from appliance.site.paths import SitePaths
from tests.bundles import tree

if TYPE_CHECKING:
    from collections.abc import Iterator

ENV = Path(sys.prefix)
SETTINGS = ("pg_hba.conf", "postgresql.auto.conf", "postgresql.conf")


@pytest.fixture
def account() -> Account:
    entry = pwd.getpwnam("nobody") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
    return Account(entry.pw_uid, entry.pw_gid)


@pytest.fixture
def paths(account: Account) -> Iterator[SitePaths]:
    """Below /tmp itself: pytest's folders are closed to the account."""
    with tempfile.TemporaryDirectory(prefix="site-") as folder:
        Path(folder).chmod(0o755)
        found = SitePaths(Path(folder))
        found.data("database").mkdir(parents=True)
        os.chown(found.data("database"), account.uid, account.gid)
        yield found


@pytest.fixture
def precious(paths: SitePaths) -> Iterator[Path]:
    """A folder of the host's, root's own; no byte, owner or mode in it may change."""
    folder = paths.root / "precious"
    folder.mkdir()
    for name in ("shadow", *SETTINGS):
        (folder / name).write_text("root's\n")
        (folder / name).chmod(0o644)
    before = tree(folder), [(p.name, p.stat().st_uid, p.stat().st_mode) for p in sorted(folder.iterdir())]
    yield folder
    assert (tree(folder), [(p.name, p.stat().st_uid, p.stat().st_mode) for p in sorted(folder.iterdir())]) == before


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("link", ["symbolic", "hard"])
def test_the_installer_writes_through_no_link_that_the_database_laid(
    paths: SitePaths, account: Account, precious: Path, name: str, link: str
) -> None:
    cluster(paths).mkdir()
    if link == "symbolic":
        (cluster(paths) / name).symlink_to(precious / "shadow")
    else:
        os.link(precious / "shadow", cluster(paths) / name)
    with pytest.raises(DeploymentError):
        create_cluster(paths, ENV, account, {"postgres": b"x"})
    written = (cluster(paths) / name).lstat()
    assert written.st_uid == account.uid
    assert not (cluster(paths) / name).is_symlink()


def test_the_installer_writes_into_no_folder_that_the_database_points_to(
    paths: SitePaths, account: Account, precious: Path
) -> None:
    cluster(paths).symlink_to(precious)
    with pytest.raises(DeploymentError):
        create_cluster(paths, ENV, account, {"postgres": b"x"})
    assert cluster(paths).is_symlink()


def test_a_folder_in_a_setting_s_place_is_an_error_and_no_defect(
    paths: SitePaths, account: Account, precious: Path
) -> None:
    assert precious.is_dir()
    (cluster(paths) / "pg_hba.conf").mkdir(parents=True)
    with pytest.raises(DeploymentError, match="cannot be written"):
        create_cluster(paths, ENV, account, {"postgres": b"x"})
    assert [path.name for path in cluster(paths).iterdir()] == ["pg_hba.conf"]


def test_the_end_of_a_service_s_log_cannot_steer_the_terminal_that_shows_it(tmp_path: Path) -> None:
    log = tmp_path / "gateway.log"
    log.write_bytes(b"\x1b]0;owned\x07 \x1b[2J\x9b2J safe \xe2\x80\xae reversed\tend\r\nsecond \xff line\n")
    shown = log_tail(log)
    assert all(line.isprintable() for line in shown.split("\n"))
    assert shown.endswith("end\n  second \ufffd line")
