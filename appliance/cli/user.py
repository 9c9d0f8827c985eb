"""`sovereign user`: people and their groups, in the site's Keycloak."""

from __future__ import annotations

import csv
import os
import secrets
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path  # noqa: TC003 - typer reads the annotations at run time
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from appliance.audit.client import SyncAuditClient
from appliance.audit.events_operation import admin_change
from appliance.audit.roles import OPERATOR
from appliance.cli.reached import reached
from appliance.cli.terminal import OutputFormat, OutputOption, PassphraseFdOption, emit, say
from appliance.cli.user_keycloak import keycloak
from appliance.errors import UsageError
from appliance.identity.passwords import read_passwords
from appliance.identity.users import Imported, Person, import_users, list_users
from appliance.identity.users_file import MAX_BYTES, read_users
from appliance.site.load import load_site
from appliance.site.paths import AUDIT, SitePaths

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rich.console import Console

app = typer.Typer(no_args_is_help=True)


@app.command("import")
def import_command(  # noqa: PLR0913, PLR0917 - one parameter per option
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="CSV with a header: username,groups[,email,first,last]; groups by `;`.")],
    passwords_out: Annotated[
        Path | None, typer.Option(help="Write the one-time passwords to this new file (0600), not to stdout.")
    ] = None,
    permanent: Annotated[
        Path | None,
        typer.Option(
            help="For demonstrations: take lasting passwords from this 0600 file, lines of username,password."
        ),
    ] = None,
    passphrase_fd: PassphraseFdOption = None,
    output: OutputOption = OutputFormat.table,
) -> None:
    """Create people with one-time passwords, and give those who exist exactly the file's groups."""
    if passwords_out is not None and permanent is not None:
        raise UsageError("--passwords-out and --permanent exclude each other", "lasting passwords are not printed")
    paths = reached(context)
    config = load_site(paths.administered)
    users = read_users(_read(file), name=str(file), known_groups=[group.name for group in config.groups])
    given = read_passwords(permanent) if permanent is not None else None
    done: list[Imported] = []
    try:
        with keycloak(paths, passphrase_fd) as admin, _password_file(passwords_out) as keep:
            _log(paths, f"import of {len(users)} people")
            for person in import_users(admin, users, permanent=given):
                done.append(person)
                keep(person)
    finally:  # one-time passwords exist nowhere else: print what was done even when the rest failed
        _print(done, output, with_passwords=passwords_out is None)


@app.command("list")
def list_command(
    context: typer.Context, passphrase_fd: PassphraseFdOption = None, output: OutputOption = OutputFormat.table
) -> None:
    """List people, their groups, and who has yet to change a one-time password."""
    with keycloak(reached(context), passphrase_fd) as admin:
        people = list_users(admin)
    emit([asdict(person) for person in people], output, lambda console: _draw_people(console, people))


def _log(paths: SitePaths, detail: str) -> None:
    """Enter the act into the audit log before it happens; without a durable entry there is no change."""
    event = admin_change(actor=f"uid {os.getuid()}", action="create", kind="user", target="users", detail=detail)
    with SyncAuditClient(paths.socket(AUDIT)) as audit:
        audit.append(event, id=OPERATOR.id("user-import", secrets.token_hex(16)))


@contextmanager
def _password_file(path: Path | None) -> Iterator[Callable[[Imported], None]]:
    """What keeps each one-time password, durably and at once; nothing without a ``path``."""
    if path is None:
        yield lambda _person: None
        return
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise UsageError(f"{path}: {(error.strerror or 'cannot be made').lower()}", "name a file to be made") from error
    with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")

        def keep(person: Imported) -> None:
            if person.password is not None:
                writer.writerow((person.username, person.password))
                file.flush()
                os.fsync(file.fileno())

        yield keep
    say(f"one-time passwords: {path}")


def _print(done: Sequence[Imported], output: OutputFormat, *, with_passwords: bool) -> None:
    if not done:
        return
    rows = [asdict(person) for person in done]
    if not with_passwords:
        for row in rows:
            del row["password"]
    emit(rows, output, lambda console: _draw_imported(console, done, with_passwords=with_passwords))


def _draw_imported(console: Console, done: Sequence[Imported], *, with_passwords: bool) -> None:
    shown = with_passwords and any(person.password for person in done)
    table = Table("user", "groups", "outcome", *(("one-time password",) if shown else ()))
    for person in done:
        cells = (person.username, ", ".join(person.groups), person.outcome)
        table.add_row(*cells, *((person.password or "",) if shown else ()))
    console.print(table)


def _draw_people(console: Console, people: Sequence[Person]) -> None:
    table = Table("user", "groups", "state")
    for person in people:
        state = "disabled" if not person.enabled else "one-time password" if person.must_change_password else "active"
        table.add_row(person.username, ", ".join(person.groups), state)
    console.print(table)


def _read(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            return opened.read(MAX_BYTES + 1)
    except OSError as error:
        raise UsageError(f"{file}: {(error.strerror or 'cannot be read').lower()}") from error
