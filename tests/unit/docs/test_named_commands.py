"""A command or option that a guide, a message or a docstring names is one that there is."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer

from appliance.cli import main, serve
from appliance.cli.lazy import LazyGroup

ROOT = Path(__file__).parents[3]
FOLDERS = ("airgap_bundle", "appliance", "demo", "docs")
SUFFIXES = {".md", ".py", ".sh"}
FILES = [
    ROOT / "README.md",
    *(
        path
        for folder in FOLDERS
        for path in sorted((ROOT / folder).rglob("*"))
        if path.suffix in {".md", ".py", ".sh"}
    ),
]
# In backticks, or on a line of its own that shows a terminal; up to the end of either.
NAMED = re.compile(r"(?:`|^ +(?:\$ )?)sovereign (?=[a-z-])([^`\n]+)", re.MULTILINE)
CONTINUED = re.compile(r"\\\n")
# What is signed and what a file begins with, not commands.
WORDS = ("bundle format", "signer: ", "first contact v1", "site start v1", "appliance service", "first-contact.sh")


@cache
def commands() -> tuple[Any, ...]:
    people, services = (typer.main.get_command(app) for app in (main.app, serve.app))
    assert isinstance(people, LazyGroup)
    people.load_all()
    return people, services


def unknown(text: str) -> str | None:
    """What ``text``, the words after ``sovereign``, names that does not exist."""
    words = re.sub(r"\s#\s.*|…", "", text).split()
    if words[0] == "--site":
        words = words[2:]
    for command in commands():
        rest, found = list(words), command
        while rest and rest[0] in getattr(found, "commands", ()):
            found = found.commands[rest.pop(0)]
        if found is not command:
            break
    else:
        return words[0]
    known = {name for option in found.params for name in (*option.opts, *option.secondary_opts)} | {"--help"}
    options = [word for word in rest if re.fullmatch(r"--[a-z][a-z-]*", word)]
    return next((option for option in options if option not in known), None)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_is_named_is_there(path: Path) -> None:
    named = NAMED.findall(CONTINUED.sub(" ", path.read_text()))
    found = {text: unknown(text) for text in named if not text.startswith(WORDS)}
    assert {text: what for text, what in found.items() if what} == {}
