"""Which uid may do what at a site, as its services read it from the folders that the installer gave them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from appliance.audit.roles import GATEWAY as GATEWAY_ROLE
from appliance.audit.roles import IDENTITY, OPERATOR, engine
from appliance.cli.serve import _roles
from appliance.cli.serve_engine import _clients
from appliance.site.load import load_site
from appliance.site.paths import GATEWAY, SitePaths, engine_service
from appliance.site.writer import writer_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

CONFIG = load_site(Path(__file__).parents[3] / "appliance" / "install" / "site.example.yaml")
MODELS = writer_settings(CONFIG).models
MODEL = CONFIG.models[0].name
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="giving folders away needs root")


@pytest.fixture
def paths() -> Iterator[SitePaths]:
    with tempfile.TemporaryDirectory() as folder:
        found = SitePaths(Path(folder))
        for service in (GATEWAY, engine_service(MODEL)):
            found.socket(service).parent.mkdir(parents=True)
        yield found
        shutil.rmtree(found.run)


@AS_ROOT
def test_each_service_has_its_own_role_and_root_is_the_operator(paths: SitePaths) -> None:
    os.chown(paths.socket(GATEWAY).parent, 61_001, -1)
    os.chown(paths.socket(engine_service(MODEL)).parent, 61_002, -1)
    assert dict(_roles(MODELS, paths).by_uid) == {
        61_001: (GATEWAY_ROLE, IDENTITY),
        61_002: (engine(MODEL),),
        0: (OPERATOR,),
    }


@AS_ROOT
def test_an_engine_serves_its_gateway_root_and_itself(paths: SitePaths) -> None:
    os.chown(paths.socket(GATEWAY).parent, 61_001, -1)
    assert _clients(paths) == {0, 61_001}


def test_where_one_user_runs_everything_it_has_every_role(paths: SitePaths) -> None:
    assert set(_roles(MODELS, paths).by_uid[os.getuid()]) == {
        GATEWAY_ROLE,
        IDENTITY,
        engine(MODEL),
        OPERATOR,
    }
    assert _clients(paths) == {0, os.getuid()}


def test_a_service_without_a_folder_has_no_role(paths: SitePaths) -> None:
    paths.socket(GATEWAY).parent.rmdir()
    held = [role for roles in _roles(MODELS, paths).by_uid.values() for role in roles]
    assert GATEWAY_ROLE not in held


def test_a_service_loads_nothing_that_draws_and_a_link_nothing_of_the_site_file() -> None:
    """Each process would keep megabytes of it; errors are drawn all the same, by what is loaded then."""
    program = """
import sys
sys.argv[1:] = ["serve", "link-none", "--unknown"]
from appliance.cli import entry
try:
    entry.run()
except SystemExit as error:
    print(error.code, *sorted({"rich", "yaml", "structlog"} & set(sys.modules)))
from appliance.cli.terminal import say
say("said")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    code, *loaded = done.stdout.split()
    assert (code, loaded) == ("2", ["structlog"])
    assert "said" in done.stderr
