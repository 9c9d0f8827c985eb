"""systemd units: sandboxed, ordered, free of secrets."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from appliance.engine.confinement.filters import permits
from appliance.install.accounts import Accounts, service_names
from appliance.install.services import Service, site_services
from appliance.install.supervision.systemd import Systemd
from appliance.install.timed import backup_run, briefs_compile, documents_sync
from appliance.site.backups import Backups
from appliance.site.gpu import Gpu
from appliance.site.load import load_site
from appliance.site.paths import SitePaths

CONFIG = load_site(Path(__file__).parents[3] / "appliance" / "install" / "site.example.yaml")
PATHS = SitePaths(Path("/srv/a site"))
USERS = Accounts({name: f"sovereign-{name.split('-')[0]}" for name in service_names(CONFIG)})
SERVICES = site_services(CONFIG, PATHS, USERS)
PLAN = Backups(
    every_hours=6, out="/media/a disk", subject_keys="/media/stick/keys", recovery_keys=("recovery.key.pub",)
)
TIMED = (documents_sync(60), briefs_compile("02:30"), backup_run(PLAN))
ENGINE = "engine-gemma3-270m"


@pytest.fixture(scope="module")
def units() -> dict[str, str]:
    files = Systemd(PATHS, Path("/units")).files(SERVICES, "demo")
    prefix = PATHS.run.name
    return {path.name.removeprefix(prefix).lstrip("-"): text for path, text in files.items()}


def lines(unit: str) -> set[str]:
    return set(unit.splitlines())


def names() -> list[str]:
    return [s.name for s in SERVICES]


@pytest.mark.parametrize("name", names())
def test_every_service_runs_as_its_user_without_privileges(units: dict[str, str], name: str) -> None:
    found = lines(units[f"{name}.service"])
    assert f"User={USERS.user(name)}" in found
    assert {
        "NoNewPrivileges=yes",
        "ProtectSystem=strict",
        "ProtectHome=yes",
        "PrivateTmp=yes",
        "PrivateDevices=yes",
        "CapabilityBoundingSet=",
        "SystemCallFilter=@system-service",
        "Restart=always",
    } <= found


@pytest.mark.parametrize("name", ["audit", ENGINE])
def test_engine_and_log_writer_have_unix_sockets_and_nothing_else(units: dict[str, str], name: str) -> None:
    assert {"RestrictAddressFamilies=AF_UNIX", "PrivateNetwork=yes"} <= lines(units[f"{name}.service"])


@pytest.mark.parametrize("name", names())
def test_a_service_writes_its_own_state_and_socket_only(units: dict[str, str], name: str) -> None:
    writable = next(x for x in units[f"{name}.service"].splitlines() if x.startswith("ReadWritePaths="))
    assert writable == f'ReadWritePaths="/srv/a site/data/{name}" {PATHS.run}/{name}'


def test_no_unit_sees_a_device_but_that_of_an_engine_which_computes_on_one(units: dict[str, str]) -> None:
    for name in names():
        assert "PrivateDevices=yes" in lines(units[f"{name}.service"])
        assert "DeviceAllow" not in units[f"{name}.service"]
    engine = next(s for s in SERVICES if s.name == ENGINE)
    texts = Systemd(PATHS).files([replace(engine, devices=Gpu(0, 1, "a GPU").files())], "demo")
    shown = next(text for path, text in texts.items() if path.name.endswith(f"{ENGINE}.service"))
    assert "PrivateDevices=yes" not in lines(shown)
    assert "DevicePolicy=closed" in lines(shown)
    allowed = [line for line in shown.splitlines() if line.startswith("DeviceAllow=")]
    assert allowed == [f"DeviceAllow=/dev/{name} rw" for name in ("nvidia1", "nvidiactl", "nvidia-uvm")]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="the lists are not here")
def test_an_engines_own_filter_is_never_wider_than_its_unit(units: dict[str, str]) -> None:
    """The engine keeps the one list; the unit has systemd's for any service, and must not refuse what is on ours."""
    allowed: set[str] = set()
    for line in units[f"{ENGINE}.service"].splitlines():
        if line.startswith("SystemCallFilter="):
            allowed |= calls_of(line.removeprefix("SystemCallFilter=").split())
    needed = {permit.call for permit in (*permits("preparing", 1, gpu=True), *permits("serving", 1, gpu=True))}
    assert needed - allowed == set()


def calls_of(words: list[str]) -> set[str]:
    """The calls that ``words`` stand for; a group is asked of systemd."""
    found: set[str] = set()
    for word in words:
        if word.startswith("@"):
            argv = ["systemd-analyze", "syscall-filter", word]
            shown = subprocess.run(argv, capture_output=True, check=True, text=True).stdout
            lines = [line.strip() for line in shown.splitlines()[1:]]
            found |= calls_of([line for line in lines if line and not line.startswith("#")])
        else:
            found.add(word)
    return found


def test_the_memory_of_an_engine_is_limited_to_its_models_budget(units: dict[str, str]) -> None:
    assert "MemoryMax=900M" in lines(units[f"{ENGINE}.service"])


def test_writer_and_gateway_outlive_what_they_count_and_read_in_and_nothing_else_outlives_a_part_of_itself(
    units: dict[str, str],
) -> None:
    continued = [name for name in names() if "OOMPolicy=continue" in lines(units[f"{name}.service"])]
    assert continued == ["audit", "gateway"]


@pytest.mark.parametrize("service", SERVICES, ids=names())
def test_a_service_starts_after_what_it_needs_is_ready(units: dict[str, str], service: Service) -> None:
    unit = units[f"{service.name}.service"]
    after = next(x for x in unit.splitlines() if x.startswith("After="))
    assert all(f"{PATHS.run.name}-{needed}.service" in after for needed in (*service.after, "unseal"))
    assert f'ExecStartPost="/srv/a site/current/env/bin/sovereign" --site "/srv/a site" await {service.name}' in unit


def test_the_site_comes_up_at_boot(units: dict[str, str]) -> None:
    assert "WantedBy=multi-user.target" in units[".target"]
    assert "Type=oneshot" in units["unseal.service"]


def test_a_percent_sign_and_a_quote_in_a_path_stay_themselves() -> None:
    odd = SitePaths(Path('/srv/100%"x'))
    texts = Systemd(odd, Path("/units")).files(site_services(CONFIG, odd, USERS), "demo").values()
    assert any('"/srv/100%%\\"x/current/env/bin/sovereign"' in t for t in texts)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="the judge is not here")
def test_systemd_finds_no_fault_with_the_units(tmp_path: Path) -> None:
    paths = SitePaths(tmp_path / "site")
    program = paths.env / "bin" / "sovereign"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    users = Accounts(dict.fromkeys(service_names(CONFIG), "daemon"))
    files = Systemd(paths, tmp_path).files(site_services(CONFIG, paths, users), "demo", TIMED)
    for path, text in files.items():
        path.write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--recursive-errors=no", *map(str, files)],
        capture_output=True,
        check=False,
        text=True,
    )
    ours = [line for line in done.stderr.splitlines() if paths.run.name in line]
    assert ours == []
