"""`sovereign learn evaluate`: every active case asked of the running site, as people of its groups are answered."""

from __future__ import annotations

import asyncio
import fcntl
import os
from contextlib import contextmanager
from pathlib import Path  # noqa: TC003 - typer reads the annotations at run time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from appliance.cli.learn import GroupOption  # noqa: TC001 - typer reads the annotations at run time
from appliance.cli.learn_ask import SiteAsker
from appliance.cli.learn_site import case_store, enter, host_site
from appliance.cli.terminal import (
    OutputFormat,
    OutputOption,
    PassphraseFdOption,
    emit,
    progress,
    read_passphrase,
    say,
    site_paths,
)
from appliance.errors import UsageError
from appliance.gateway.issuer import issuer_client
from appliance.gateway.sampling import DEFAULT_TEMPERATURE, DEFAULT_TOP_P
from appliance.identity.oidc import OidcClient
from appliance.install.vault import Vault, client_secret
from appliance.learning.cases import digest_of
from appliance.learning.errors import ResultError
from appliance.learning.results import MAX_BYTES, Row, Run, line, read_results, whole
from appliance.learning.running import Budget, questions, run, summary

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import Console

    from appliance.learning.cases import Case
    from appliance.site.config import ServiceClient, SiteConfig
    from appliance.site.paths import SitePaths

_MINUTE = 60.0


def register(app: typer.Typer) -> None:
    """Add the command to the group ``learn``."""
    app.command()(evaluate)


def evaluate(  # noqa: PLR0913, PLR0917 - one parameter per option
    context: typer.Context,
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="Results, a line a case; a run goes on there.")],
    model: Annotated[str | None, typer.Option(help="Which model; default: the first of site.yaml.")] = None,
    group: GroupOption = [],  # noqa: B006 - typer reads it and never changes it
    seed: Annotated[int, typer.Option(min=0, max=2**31 - 1, help="Draws the answers; the gate wants equal seeds.")] = 1,
    max_tokens: Annotated[int, typer.Option(min=1, max=4096, help="The most tokens of an answer.")] = 256,
    tokens: Annotated[int | None, typer.Option(min=1, help="Stop after so many tokens, prompts included.")] = None,
    minutes: Annotated[int | None, typer.Option(min=1, help="Stop after so many minutes.")] = None,
    client: Annotated[
        str | None, typer.Option(help="Service client that asks; default: the one that evaluates.")
    ] = None,
    passphrase_fd: PassphraseFdOption = None,
    output: OutputOption = OutputFormat.table,
) -> None:
    """Ask every active case of the running site and score the answers; run again, it goes on where it was.

    Answers are drawn as the page draws them, with the group's instructions and adapter. Each is an entry of the audit
    log, of purpose `evaluation`. Example: `sovereign learn evaluate --out before.jsonl`.
    """
    paths = site_paths(context)
    site = host_site(paths)
    program = _client(site, client)
    groups = _groups(program, group)
    cases = asyncio.run(_cases(paths, passphrase_fd))
    asked = questions(cases, groups, seed)
    if not asked:
        raise UsageError("there is no active case for these groups", "experts make cases; see `sovereign learn cases`")
    run_of = Run(
        site=site.name,
        model=_model(site, model),
        seed=seed,
        max_tokens=max_tokens,
        temperature=DEFAULT_TEMPERATURE,
        top_p=DEFAULT_TOP_P,
        cases=digest_of({one.case.id: one.case for one in asked}.values()),
        count=len(asked),
    )
    with _results(out, run_of) as (descriptor, rows):
        done = {row.key for row in rows}
        left = [one for one in asked if one.key not in done]
        enter(paths, what="evaluation", target=run_of.cases, figures=_begun(run_of, groups, len(left)))

        def keep(row: Row) -> None:
            append(descriptor, line(row), out)
            rows.append(row)

        budget = Budget(tokens, minutes * _MINUTE if minutes is not None else None)
        secret = Vault(paths, lambda: read_passphrase("passphrase of the site key", passphrase_fd)).store()

        async def ask() -> bool:
            async with issuer_client(site, paths) as http:
                sign_in = OidcClient(site.issuer, program.id, secret.get(client_secret(program.id)).decode(), http)
                asker = SiteAsker(http, sign_in, run_of, site.gateway_url)
                with progress("cases", unit="steps") as report:
                    return await run(left, asker, keep, budget, report)

        try:
            whole_run = asyncio.run(ask()) if left else True
        finally:
            figures = summary(run_of, rows)
            enter(paths, what="evaluation", target=run_of.cases, figures=figures, action="update")
    emit(figures | {"complete": whole_run}, output, lambda console: _draw(console, figures))
    if not whole_run:
        say(f"{len(rows)} of {run_of.count} cases: the budget or a quota is used up; run it again and it goes on")


async def _cases(paths: SitePaths, passphrase_fd: int | None) -> list[Case]:
    async with case_store(paths, passphrase_fd) as store:
        return [one.case for one in await store.current(None, ("active",))]


def _client(site: SiteConfig, named: str | None) -> ServiceClient:
    able = [one for one in site.service_clients if one.evaluates and named in {None, one.id}]
    if len(able) != 1:
        which = f"{named} is not a client that evaluates" if named else f"{len(able)} clients evaluate"
        raise UsageError(which, "name one of service_clients in site.yaml that has `evaluates: true`, with --client")
    return able[0]


def _groups(program: ServiceClient, wanted: Sequence[str]) -> tuple[str, ...]:
    if unknown := [name for name in wanted if name not in program.groups]:
        raise UsageError(f"{unknown[0]} is not a group of {program.id}", f"it has {', '.join(program.groups)}")
    return tuple(wanted) or program.groups


def append(descriptor: int, raw: bytes, out: Path) -> None:
    """Put a whole line at the end, or nothing of it. Raises ``UsageError`` where there is no room."""
    size = os.fstat(descriptor).st_size
    try:
        left = memoryview(raw)
        while left:
            left = left[os.write(descriptor, left) :]
        os.fsync(descriptor)
    except OSError as error:
        os.ftruncate(descriptor, size)
        os.lseek(descriptor, size, os.SEEK_SET)
        cause = f"{out} cannot be written: {error.strerror}"
        raise UsageError(cause, "make room and run it again: it goes on where it was") from error


def _model(site: SiteConfig, named: str | None) -> str:
    known = [model.name for model in site.models if model.name != site.documents.model]
    if named is not None and named not in known:
        raise UsageError(f"{named} is not a model of this site", f"it has {', '.join(known)}")
    return named or known[0]


@contextmanager
def _results(out: Path, run_of: Run) -> Iterator[tuple[int, list[Row]]]:
    """The file, locked, at its end, and what it holds already. Raises ``ResultError`` for another run's file."""
    try:
        descriptor = os.open(out, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise UsageError(f"{out} cannot be written: {error.strerror}", "name a file") from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise UsageError(f"{out} is being written by another run", "wait for it") from error
        raw = whole(os.pread(descriptor, MAX_BYTES + 1, 0))
        rows: list[Row] = []
        if raw:
            found = read_results(raw, str(out))
            if found.run != run_of:
                raise ResultError(f"{out} is of another run: other cases, groups, seed or settings", "name a new file")
            rows = list(found.rows)
        elif os.fstat(descriptor).st_size:
            raise ResultError(f"{out} is no file of results", "name a new file")
        else:
            raw = line(run_of)
            os.pwrite(descriptor, raw, 0)
        os.ftruncate(descriptor, len(raw))
        os.lseek(descriptor, 0, os.SEEK_END)
        yield descriptor, rows
    finally:
        os.close(descriptor)


def _begun(run_of: Run, groups: Sequence[str], left: int) -> dict[str, Any]:
    return {"model": run_of.model, "groups": list(groups), "seed": run_of.seed, "cases": run_of.count, "left": left}


def _draw(console: Console, figures: dict[str, Any]) -> None:
    for name, value in figures.items():
        console.print(f"{name.replace('_', ' ') + ':':<14}{value}", markup=False)
