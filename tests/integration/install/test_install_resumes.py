"""The installer's own steps, killed at their boundaries: the next run finishes, the one after does nothing."""

from __future__ import annotations

import pwd
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from airgap_bundle.trust_state import fingerprint
from appliance.install.accounts import other_sites, remove_accounts
from appliance.install.journal import Journal, read_journal
from appliance.install.process import PATH
from appliance.install.uninstall import uninstall
from appliance.site.paths import SitePaths
from tests import bundles

if TYPE_CHECKING:
    from collections.abc import Iterator

REPOSITORY = Path(__file__).parents[3]
PROGRAM = Path(__file__).parent / "crashing_steps.py"
STEPS = ("users", "folders", "secrets", "certificates", "audit-keys", "supervision")
ROOT = str(fingerprint(bundles.root_bytes()))


@pytest.fixture
def folder() -> Iterator[Path]:
    """Below /tmp itself: pytest's folders are closed to service users."""
    with tempfile.TemporaryDirectory(prefix="resume-") as name:
        Path(name).chmod(0o755)
        bundles.make(Path(name, "bundle"))
        yield Path(name)
        remove_accounts(SitePaths(Path(name, "site")))


def install(folder: Path, step: str = "none", moment: str = "never") -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, str(PROGRAM), str(folder / "site"), str(folder / "bundle"), ROOT, step, moment]
    env = {"PATH": PATH, "PYTHONPATH": str(REPOSITORY), "HOME": str(folder)}
    return subprocess.run(argv, env=env, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("moment", ["before", "journaled"])
@pytest.mark.parametrize("step", STEPS)
def test_a_kill_at_a_real_steps_boundary_is_resumed(folder: Path, step: str, moment: str) -> None:
    assert install(folder, step, moment).returncode == -signal.SIGKILL
    finished = install(folder)
    assert finished.returncode == 0, finished.stderr
    paths = SitePaths(folder / "site")
    assert {r.step for r in read_journal(paths.journal) if r.state == "done"} == set(STEPS)
    before = bundles.tree(paths.root)
    again = install(folder)
    assert again.stdout.split() == []
    assert bundles.tree(paths.root) == before


def test_secrets_made_before_a_kill_are_kept(folder: Path) -> None:
    install(folder, "certificates", "before")
    secrets = SitePaths(folder / "site").secrets
    before = {p.name: p.read_bytes() for p in secrets.iterdir() if p.suffix in {".sealed", ".key"}}
    install(folder)
    assert len(before) > 5
    assert {name: (secrets / name).read_bytes() for name in before} == before


def test_a_lost_certificate_is_issued_again_by_the_same_authority(folder: Path) -> None:
    install(folder)
    tls = SitePaths(folder / "site").tls
    authority = (tls / "ca.pem").read_bytes()
    (tls / "gateway.pem").unlink()
    assert install(folder).stdout.split() == ["certificates"]
    assert (tls / "ca.pem").read_bytes() == authority
    assert (tls / "gateway.pem").is_file()


def test_uninstalling_leaves_the_host_as_it_was(folder: Path) -> None:
    paths = SitePaths(folder / "site")
    before = host_state(folder)
    install(folder)
    assert host_state(folder) != before
    assert uninstall(paths).root == paths.root
    assert host_state(folder) == before


def test_an_interrupted_installation_is_uninstalled_whole(folder: Path) -> None:
    before = host_state(folder)
    install(folder, "folders", "before")
    uninstall(SitePaths(folder / "site"))
    assert host_state(folder) == before


def test_a_folder_the_operator_made_stays_empty(folder: Path) -> None:
    (folder / "site").mkdir()
    paths = SitePaths(folder / "site")
    journal = Journal.open(paths.journal)
    journal.append("begin", "done", "", {"root_existed": "True"})
    journal.close()
    uninstall(paths)
    assert list(paths.root.iterdir()) == []


def host_state(folder: Path) -> dict[str, object]:
    """What an installation may leave behind on a host, other sites' users aside."""
    mark = SitePaths(folder / "site").run.name
    places = (Path("/run"), Path("/etc/systemd/system"))
    named = {str(p) for place in places if place.is_dir() for p in place.glob(f"{mark}*")}
    users = set() if other_sites(SitePaths(folder / "site")) else {p.pw_name for p in pwd.getpwall()}
    return {"tree": bundles.tree(folder), "named": named, "users": users}
