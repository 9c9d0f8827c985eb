"""`sovereign learn export` and `revise`: a draft of what this site learnt, for persons to read before it may leave."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from appliance.cli.learn_draft import (
    change_draft,
    exchange_of,
    make_draft,
    read_bounded,
    read_draft,
    read_lines_of_work,
    read_stays,
    redactor_of,
)
from appliance.cli.learn_site import described_site, enter, gathering
from appliance.cli.reached import reached
from appliance.cli.terminal import OutputFormat, OutputOption, PassphraseFdOption, emit, say
from appliance.errors import UsageError
from appliance.gateway.gold_rows import ALIVE, SITE
from appliance.install.exchange_record import read_sent
from appliance.learning.exchange.draft import Given, drafted, retired_of, work_of
from appliance.learning.exchange.export import Head
from appliance.learning.exchange.failure_figures import failure_lines, score_lines
from appliance.learning.exchange.shared import Role, Shared
from appliance.learning.results import MAX_BYTES as MAX_RESULTS
from appliance.learning.results import read_results

if TYPE_CHECKING:
    import uuid
    from collections.abc import Sequence

    from rich.console import Console

    from appliance.gateway.gold_rows import Kept
    from appliance.learning.exchange.draft import Drafted
    from appliance.learning.failures import Failure
    from appliance.site.config import SiteConfig
    from appliance.site.paths import SitePaths

DraftArgument = Annotated[Path, typer.Argument(metavar="DRAFT", help="The draft's folder.")]
WithoutAccountsOption = Annotated[
    bool,
    typer.Option(
        "--without-accounts", help="Do not ask Keycloak for people's names: texts are not looked through for them."
    ),
]
_ROLE = r"[a-z0-9][a-z0-9-]{0,31}"


def register(app: typer.Typer) -> None:
    """Add the commands to the group ``learn``."""
    app.command()(export)
    app.command()(revise)


def export(  # noqa: PLR0913 - one parameter per option
    context: typer.Context,
    *,
    out: Annotated[Path, typer.Option("--out", metavar="DRAFT", help="New folder that receives the draft.")],
    role: Annotated[
        list[str],
        typer.Option("--role", metavar="GROUP=ROLE", help="What a group is called outside; others are not named."),
    ] = [],  # noqa: B006 - typer reads it and never changes it
    scores: Annotated[
        Path | None, typer.Option("--scores", metavar="FILE", help="Results of `learn evaluate`; mean scores go along.")
    ] = None,
    above: Annotated[
        int, typer.Option("--above", min=0, help="The export's number is higher than this; after a restore.")
    ] = 0,
    without_accounts: WithoutAccountsOption = False,
    passphrase_fd: PassphraseFdOption = None,
    output: OutputOption = OutputFormat.table,
) -> None:
    """Write a draft of what this site learnt; nothing leaves by that. It is read, edited, then approved by persons.

    Cases in the words of whoever asked stay, as do those about the site's documents. What looks personal or secret is
    held back until somebody edits or drops it. Example: `sovereign learn export --out draft --role analysts=research`.
    """
    paths = reached(context)
    site = described_site(paths)
    exchange = exchange_of(site)
    roles = _roles(site, role)
    rows = read_results(read_bounded(scores, MAX_RESULTS), str(scores)).rows if scores is not None else ()
    figures = {"roles": sorted(roles.values()), "looked_for_accounts": not without_accounts}
    enter(paths, what="exchange", target="draft", figures=figures, action="read")
    redactor = redactor_of(paths, site, passphrase_fd, without_accounts=without_accounts)
    kept, failures = asyncio.run(_gathered(paths, site, passphrase_fd))
    active = [one for one in kept if one.state == "active"]
    work, left = work_of((_given(one) for one in active), roles)
    sent = read_sent(paths.exchange)
    head = Head(
        site=exchange.name,
        number=max(sent.number, above) + 1,
        made=f"{datetime.now(UTC):%Y-%m-%d}",
        approvals=exchange.threshold,
        accounts=not without_accounts,
    )
    made = drafted(
        head,
        work,
        redactor,
        retired=retired_of(sent.cases, {f"{one.case.id} {one.case.version}" for one in kept}),
        failures=failure_lines(failures, roles, _cases_of(active)),
        scores=score_lines(rows),
        left=left,
    )
    make_draft(out, made)
    _tell(out, made, output)


def revise(
    context: typer.Context,
    draft: DraftArgument,
    *,
    without_accounts: WithoutAccountsOption = False,
    passphrase_fd: PassphraseFdOption = None,
    output: OutputOption = OutputFormat.table,
) -> None:
    """Make the draft anew from work.jsonl as somebody edited it; what is still flagged stays held back.

    Lines of work.jsonl may be changed and dropped. Of exchange.jsonl, figures and scores may be dropped.
    """
    paths = reached(context)
    site = described_site(paths)
    exchange_of(site)
    former = read_draft(draft)
    work = read_lines_of_work(draft)
    redactor = redactor_of(paths, site, passphrase_fd, without_accounts=without_accounts)
    head = former.head.model_copy(update={"accounts": not without_accounts})
    retired, left = [one.digest for one in former.retired], read_stays(draft)
    made = drafted(head, work, redactor, retired=retired, failures=former.failures, scores=former.scores, left=left)
    change_draft(draft, made)
    _tell(draft, made, output)


def _roles(site: SiteConfig, given: Sequence[str]) -> dict[str, str]:
    """Roles by group. Raises ``UsageError``; a role that is called as a group would tell its name."""
    groups = {group.name for group in site.groups}
    found: dict[str, Role] = {}
    for one in given:
        group, _, name = one.partition("=")
        if group not in groups:
            raise UsageError(f"{group!a} is not a group of this site", f"its groups are {', '.join(sorted(groups))}")
        if not re.fullmatch(_ROLE, name) or name in groups:
            raise UsageError(f"{name!a} is no role", "a-z, 0-9 and dashes, and not the name of a group of this site")
        found[group] = name
    return found


async def _gathered(
    paths: SitePaths, site: SiteConfig, passphrase_fd: int | None
) -> tuple[tuple[Kept, ...], tuple[Failure, ...]]:
    async with gathering(paths, passphrase_fd) as (cases, failures):
        kept = await cases.current(None, ALIVE)
        return kept, await failures.of_groups([group.name for group in site.groups])


def _given(one: Kept) -> Given:
    return Given(one.case, own_words=one.sealed_for != SITE, released=one.released is not None)


def _cases_of(kept: Sequence[Kept]) -> dict[uuid.UUID, str]:
    """The digest, as it travels, of what came of a failure; those in a person's words are not among them."""
    found = {}
    for one in kept:
        if one.origin is None or one.sealed_for != SITE or one.case.content.from_documents:
            continue
        try:
            shared = Shared.of(one.case.content)
        except ValueError:
            continue
        if shared is not None:
            found[one.origin.failure] = shared.digest
    return found


def _tell(folder: Path, made: Drafted, output: OutputFormat) -> None:
    held = {"held": len(made.held)}
    shown = {"draft": str(folder), **made.export.figures(), **held, **made.left.told()}

    def render(console: Console) -> None:
        for name, value in shown.items():
            console.print(f"{name.replace('_', ' ')}: {value}", markup=False, soft_wrap=True)

    emit(shown, output, render)
    if made.held:
        say(f"held back: {len(made.held)} cases; edit or drop them in work.jsonl, then `sovereign learn revise`")
    say(f"read {folder}/sheet.md, every line; then `sovereign learn approve {folder}`, by each of the approvers")
