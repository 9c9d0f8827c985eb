"""`sovereign learn status` asks the running gateway's management port, and says how to measure again."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route
from typer.testing import CliRunner
from uvicorn import Config, Server

from appliance.cli.main import app
from appliance.errors import UnavailableError
from appliance.gateway.management import create_management_app
from appliance.site.paths import SitePaths
from tests.integration.gateway.test_confidence import config, in_force

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from typer.testing import Result

pytestmark = pytest.mark.anyio
AGAIN = "to measure again"
SITE = """\
schema: 1
name: ministry
models: [{{name: small}}]
groups: [{{name: analysts, models: [small], beta: [confidence]}}]
listen: {{management_port: {port}}}
"""


@asynccontextmanager
async def listening(application: Starlette) -> AsyncGenerator[int]:
    """The application on a port of this host."""
    server = Server(Config(application, host="127.0.0.1", port=0, log_config=None, lifespan="off"))
    task = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn offers nothing to wait for
        await asyncio.sleep(0.005)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    await task


async def status(folder: Path, port: int, *arguments: str) -> Result:
    paths = SitePaths(folder / "site")
    paths.root.mkdir(exist_ok=True)
    paths.site_yaml.write_text(SITE.format(port=port))
    whole = ["--site", str(paths.root), "learn", "status", *arguments]
    return await asyncio.to_thread(CliRunner().invoke, app, whole)


async def test_it_says_of_each_group_whether_it_is_measured_and_how_to_measure_again(
    house: Any, tmp_path: Path
) -> None:
    made = await in_force(house)
    for settings, why in ((config(), None), (config(instructions="Answer in rhymes."), "other_setting")):
        async with house.open(settings), listening(create_management_app(house.gateways[-1])) as port:
            told = await status(tmp_path, port, "--output", "json")
            drawn = await status(tmp_path, port)
        assert (told.exit_code, drawn.exit_code) == (0, 0), (told.exception, drawn.exception)
        (row,) = json.loads(told.stdout)
        assert (row["group"], row["model"], row["documents"], row["unmeasured"]) == ("analysts", "small", False, why)
        assert row["calibration"] == made.digest
        assert (AGAIN in drawn.stderr) == (AGAIN in told.stderr) == (why is not None)
        assert ("not measured for these" in " ".join(drawn.stdout.split())) == (why is not None)
        assert (str(made.labels) in drawn.stdout) == (why is None)


async def test_an_engine_that_is_silent_is_said_and_a_gateway_that_is_silent_is_an_error(
    house: Any, tmp_path: Path
) -> None:
    house.engine.up = False
    async with house.open(config()), listening(create_management_app(house.gateways[-1])) as port:
        told = await status(tmp_path, port)
    assert told.exit_code == 0, told.exception
    assert "does not answer" in " ".join(told.stdout.split())
    assert AGAIN not in told.stderr
    silent = await status(tmp_path, port)
    assert isinstance(silent.exception, UnavailableError)


async def test_what_a_hostile_gateway_says_steers_no_terminal_and_ends_no_command(tmp_path: Path) -> None:
    rows: list[Any] = [
        {"group": "a\x1b[2Jb", "model": ["x"], "unmeasured": {"a": 1}},
        {"group": "[red]c[/red]", "refused": "\u202e[/]\x07"},
        {"unmeasured": "unheard of", "labels": "many"},
        "nothing",
    ]

    async def confidence(_: object) -> JSONResponse:
        return JSONResponse({"groups": rows})

    async with listening(Starlette(routes=[Route("/confidence", confidence)])) as port:
        told = await status(tmp_path, port)
    assert told.exit_code == 0, told.exception
    assert "\x1b[2J" not in told.stdout
    assert not {"\u202e", "\x07"} & set(told.stdout)
    assert "[red]c[/red]" in told.stdout
