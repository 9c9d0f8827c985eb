"""A command group that loads the modules of a command when somebody names that command.

Loading all of them takes seconds on a small host, and a command line is started often: by people, by scripts and at
every press of the tab key. The group knows each command's name and one line about it, which is all that its help and
completion need. Source: click's documentation, "Complex Applications", section "Lazily Loading Subcommands".
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import typer
from typer.core import TyperCommand, TyperGroup

if TYPE_CHECKING:
    from collections.abc import Mapping


class Entry(NamedTuple):
    """One command of a lazy group, and where it is.

    ``modules`` are modules of this package. Of a single command, the one module has ``register(app)``, which mounts it.
    Of a group (``group``) the first module has the group's ``app``, and each other one ``register(app)``.
    """

    help: str
    modules: tuple[str, ...]
    group: bool = True
    hidden: bool = False


class LazyGroup(TyperGroup):
    """A group of the commands in ``entries``, each a line of help until it is named."""

    entries: ClassVar[Mapping[str, Entry]] = {}

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands = {
            name: TyperCommand(name, short_help=entry.help, hidden=entry.hidden, rich_markup_mode=None)
            for name, entry in self.entries.items()
        }

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """As in any group, with the command itself in the place of its line of help."""
        if args and args[0] in self.entries:
            self.load(args[0])
        return super().resolve_command(ctx, args)

    def load(self, name: str) -> None:
        """Put the command ``name`` itself in the place of its line of help."""
        self.commands[name] = _command(name, self.entries[name])

    def load_all(self) -> None:
        """Every command in the place of its line of help: for reference pages, and for those who check the tree."""
        for name in self.entries:
            self.load(name)


def _command(name: str, entry: Entry) -> Any:
    group = typer.main.get_group(_app_with(name, entry))
    return group.commands[name]


@cache
def _app_with(name: str, entry: Entry) -> typer.Typer:
    """An app that holds the command ``name``, and may hold others of the same module; assembled once."""
    app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)
    first, *others = (import_module(f"{__package__}.{module}") for module in entry.modules)
    if not entry.group:
        first.register(app)
        return app
    for module in others:
        module.register(first.app)
    app.add_typer(first.app, name=name, help=entry.help)
    return app
