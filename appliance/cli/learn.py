"""`sovereign learn cases`: what answers are checked against, listed, carried out and in, and retired."""

from __future__ import annotations

import asyncio
import hashlib
import uuid
from pathlib import Path  # noqa: TC003 - typer reads the annotations at run time
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from airgap_bundle import durable
from appliance.cli.learn_release import accept, offer
from appliance.cli.learn_site import actor, case_store, described_site, enter
from appliance.cli.reached import reached
from appliance.cli.terminal import OutputFormat, OutputOption, PassphraseFdOption, emit, say
from appliance.errors import UsageError
from appliance.gateway.errors import ConflictError, NotFoundError
from appliance.gateway.gold_rows import ALIVE, OFFERED, SITE
from appliance.learning.cases import read_cases
from appliance.memory.parsing.blocks import cleaned

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from appliance.gateway.gold_cases import CaseStore
    from appliance.gateway.gold_rows import Kept
    from appliance.learning.cases import Case, Content
    from appliance.site.paths import SitePaths

app = typer.Typer(no_args_is_help=True)
cases = typer.Typer(no_args_is_help=True, help="What answers are checked against.")
app.add_typer(cases, name="cases")
cases.command()(accept)
MAX_BYTES = 64 << 20
GroupOption = Annotated[
    list[str], typer.Option("--group", metavar="GROUP", help="Only of this group; may be given several times.")
]


@cases.command("list")
def list_command(
    context: typer.Context,
    group: GroupOption = [],  # noqa: B006 - typer reads it and never changes it
    passphrase_fd: PassphraseFdOption = None,
    output: OutputOption = OutputFormat.table,
) -> None:
    """List the latest version of each case. That somebody looked is in the audit log."""
    paths = reached(context)
    enter(paths, what="cases", target="list", figures={"groups": group}, action="read")
    found = asyncio.run(_current(context, group, passphrase_fd, ()))
    emit([shown(one) for one in found], output, lambda console: _draw(console, found))


@cases.command()
def export(
    context: typer.Context,
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="A new file (0600), one case a line.")],
    group: GroupOption = [],  # noqa: B006 - as above
    passphrase_fd: PassphraseFdOption = None,
) -> None:
    """Write the active cases to FILE, as `cases import` reads them, but for those in the words of whoever asked.

    The audit log has it first.
    """
    paths = reached(context)
    active = asyncio.run(_current(context, group, passphrase_fd, ("active",)))
    found = [one for one in active if one.sealed_for == SITE]
    raw = b"".join(one.case.content.model_dump_json().encode() + b"\n" for one in found)
    digest = "sha256:" + hashlib.sha256(raw).hexdigest()
    enter(
        paths,
        what="cases",
        target="export",
        figures={"cases": len(found), "left_out": len(active) - len(found), "file": digest},
        action="read",
    )
    try:
        durable.write_new(out, raw, 0o600)
    except OSError as error:
        raise UsageError(f"{out} cannot be written: {error.strerror}", "name a new file with room") from error
    say(f"written: {out} ({len(found)} cases, {digest})")
    if left := len(active) - len(found):
        say(f"left out: {left} in the words of whoever asked, which are not for a file: an expert rewords them")


@cases.command("import")
def import_command(  # noqa: PLR0913 - one parameter per option
    context: typer.Context,
    file: Annotated[Path | None, typer.Argument(metavar="FILE", help="One case a line, as JSON.")] = None,
    *,
    from_release: Annotated[
        bool, typer.Option("--from-release", help="Offer groups what the release carries of other sites' learning.")
    ] = False,
    group: GroupOption = [],  # noqa: B006 - as above
    passphrase_fd: PassphraseFdOption = None,
    output: OutputOption = OutputFormat.table,
) -> None:
    """Take cases in: all of FILE or none. Those that contradict another are blocked with it until an expert decides.

    With --from-release, offer those of the active release to each --group; without one, to groups that had some before.
    """
    if from_release == (file is not None) or (group and not from_release):
        raise UsageError("cases come from a file, or from the release for groups", "name FILE, or give --from-release")
    if file is None:
        offer(context, group, passphrase_fd, output)
        return
    paths = reached(context)
    raw = _read(file)
    contents = _contents(paths, raw, file)
    digest = "sha256:" + hashlib.sha256(raw).hexdigest()
    enter(paths, what="cases", target="import", figures={"cases": len(contents), "file": digest})

    async def take_in() -> dict[str, int]:
        async with case_store(paths, passphrase_fd) as store:
            return await store.take_in(contents, actor())

    done = asyncio.run(take_in())
    emit(
        done, output, lambda console: console.print(", ".join(f"{n} {name}" for name, n in done.items()), markup=False)
    )
    if done["blocked"]:
        say("blocked cases contradict others: an expert of the group decides, on the page /expert")


@cases.command()
def replace(
    context: typer.Context,
    case: Annotated[str, typer.Argument(metavar="ID", help="The case's id, as `list` shows it.")],
    file: Annotated[Path, typer.Argument(metavar="FILE", help="One case, as JSON in one line.")],
    passphrase_fd: PassphraseFdOption = None,
) -> None:
    """Put the case of FILE in the place of another, as its next version; the former one is asked no more and stays."""
    paths = reached(context)
    case_id = _id(case)
    contents = _contents(paths, _read(file), file)
    if len(contents) != 1:
        raise UsageError(f"{file} holds {len(contents)} cases", "name a file of one")

    async def act() -> Case:
        async with case_store(paths, passphrase_fd) as store:
            await _check_alive(store, case_id, ALIVE)
            figures = {"digest": contents[0].digest}
            await asyncio.to_thread(enter, paths, what="cases", target=str(case_id), figures=figures, action="update")
            try:
                return await store.supersede(case_id, contents[0], actor())
            except NotFoundError as error:
                raise UsageError(f"case {case_id} was retired meanwhile") from error
            except ConflictError as error:
                raise UsageError(str(error), "an expert decides between them, on the page /expert") from error

    made = asyncio.run(act())
    say(f"replaced: {case_id} is version {made.version} now")


@cases.command()
def retire(
    context: typer.Context,
    case: Annotated[str, typer.Argument(metavar="ID", help="The case's id, as `list` shows it.")],
    passphrase_fd: PassphraseFdOption = None,
) -> None:
    """Ask a case no more. Its versions stay."""
    paths = reached(context)
    case_id = _id(case)

    async def act() -> None:
        async with case_store(paths, passphrase_fd) as store:
            await _check_alive(store, case_id)
            await asyncio.to_thread(
                enter, paths, what="cases", target=str(case_id), figures={"retired": True}, action="delete"
            )
            try:
                await store.retire(case_id)
            except NotFoundError as error:
                raise UsageError(f"case {case_id} was retired meanwhile") from error

    asyncio.run(act())
    say(f"retired: {case_id}")


def shown(one: Kept) -> dict[str, Any]:
    """A case for a program."""
    about = {"id": str(one.case.id), "version": one.case.version, "state": one.state, "digest": one.case.content.digest}
    origin, digest = (one.origin.subject, one.origin.digest) if one.origin is not None else (None, None)
    came = {"origin": origin, "origin_digest": digest, "author": one.author, "created": one.created}
    return about | one.case.content.model_dump(mode="json") | came | {"released": one.released}


async def _current(
    context: typer.Context, groups: Sequence[str], passphrase_fd: int | None, states: Sequence[str]
) -> tuple[Kept, ...]:
    paths = reached(context)
    known = [group.name for group in described_site(paths).groups]
    if unknown := [name for name in groups if name not in known]:
        raise UsageError(f"{unknown[0]} is not a group of this site", f"its groups are {', '.join(known)}")
    async with case_store(paths, passphrase_fd) as store:
        return await store.current(groups or None, states)


def _draw(console: Console, found: Sequence[Kept]) -> None:
    table = Table("id", "version", "state", "groups", "kind", "question", "expected")
    for one in found:
        content = one.case.content
        kind = f"{content.kind}, vital" if content.vital else content.kind
        said = (cleaned(content.question), cleaned(" · ".join(content.expected)))
        table.add_row(str(one.case.id), str(one.case.version), one.state, ", ".join(content.groups), kind, *said)
    console.print(table, markup=False)


def _id(case: str) -> uuid.UUID:
    try:
        return uuid.UUID(case)
    except ValueError:
        raise UsageError(f"{case!a} is no case's id", "`sovereign learn cases list` names them") from None


async def _check_alive(store: CaseStore, case_id: uuid.UUID, states: Sequence[str] = (*ALIVE, OFFERED)) -> None:
    found = next((one for one in await store.current() if one.case.id == case_id and one.state != "retired"), None)
    if found is None:
        raise UsageError(f"there is no case {case_id}", "`sovereign learn cases list` names them")
    if found.state not in states:
        raise UsageError(f"case {case_id} is only {found.state}", "take it on first: `sovereign learn cases accept`")


def _contents(paths: SitePaths, raw: bytes, file: Path) -> tuple[Content, ...]:
    """Cases of a file's bytes, for groups of this site."""
    contents = read_cases(raw, str(file))
    known = {group.name for group in described_site(paths).groups}
    if unknown := sorted({name for one in contents for name in one.groups} - known):
        raise UsageError(
            f"{file}: {unknown[0]} is not a group of this site", f"its groups are {', '.join(sorted(known))}"
        )
    return contents


def _read(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            raw = opened.read(MAX_BYTES + 1)
    except OSError as error:
        raise UsageError(f"{file}: {(error.strerror or 'cannot be read').lower()}") from error
    if len(raw) > MAX_BYTES:
        raise UsageError(f"{file} is longer than {MAX_BYTES >> 20} MiB", "divide it")
    return raw
