"""`sovereign trust add-signer`, `remove-signer`, `rotate` and `sign-root`: from one root to the next.

The folder of the roots is the state of the ceremony: `1.root.json` to `N.root.json`, complete, and at most one draft.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from airgap_bundle.errors import SigningError
from airgap_bundle.keys import load_public
from airgap_bundle.metadata import MODELS, ROOT, TARGETS
from airgap_bundle.signing.described import follow_roots
from airgap_bundle.signing.root_draft import RootDraft
from airgap_bundle.signing.root_plan import GRANTED_ROLES, PERSONS_ROLES, Circle, RootPlan
from airgap_bundle.signing.roots_folder import complete_roots, open_draft, write_draft
from airgap_bundle.signing.summary import describe_root
from appliance.cli.root_view import render_root, root_summary
from appliance.cli.signers import PinFdOption, YesOption, consent, opened
from appliance.cli.terminal import OutputFormat, OutputOption, PassphraseFdOption, emit, say
from appliance.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airgap_bundle.keys import PublicSigner

RootsOption = Annotated[Path, typer.Option("--roots", metavar="DIR", help="Folder of the roots; receives the draft.")]
DraftArgument = Annotated[Path, typer.Argument(metavar="N.root.json", help="The draft, beside the roots before it.")]
RoleOption = Annotated[
    list[str] | None, typer.Option("--role", metavar="ROLE", help="root or targets; repeatable. Default: both.")
]
LeavingOption = Annotated[
    list[str] | None, typer.Option("--role", metavar="ROLE", help="root, targets or models; repeatable. Default: all.")
]
ThresholdOption = Annotated[
    int | None, typer.Option("--threshold", metavar="K", help="How many persons must sign, for both roles.")
]
RootThresholdOption = Annotated[
    int | None, typer.Option("--root-threshold", metavar="K", help="How many must sign a root.")
]
TargetsThresholdOption = Annotated[
    int | None, typer.Option("--targets-threshold", metavar="K", help="How many must sign a release.")
]


def register(app: typer.Typer) -> None:
    """Add the commands to the group ``trust``."""
    app.command("add-signer")(add_signer)
    app.command("remove-signer")(remove_signer)
    app.command()(rotate)
    app.command("sign-root")(sign_root)


def add_signer(  # noqa: PLR0913 - thresholds are set per role
    public: Annotated[Path, typer.Argument(metavar="NAME.pub", help="Public half of the person who comes.")],
    roots: RootsOption,
    *,
    role: RoleOption = None,
    threshold: ThresholdOption = None,
    root_threshold: RootThresholdOption = None,
    targets_threshold: TargetsThresholdOption = None,
    output: OutputOption = OutputFormat.table,
) -> None:
    """Draft the next root, in which one more person signs; it counts once enough have signed it: `trust sign-root`."""
    history = complete_roots(roots)
    plan = _join(_plan(history), load_public(public), _roles(role, PERSONS_ROLES))
    _write(roots, history, _with_thresholds(plan, threshold, root_threshold, targets_threshold), output)


def remove_signer(  # noqa: PLR0913 - thresholds are set per role
    name: Annotated[str, typer.Argument(metavar="NAME", help="The person who goes.")],
    roots: RootsOption,
    *,
    role: LeavingOption = None,
    threshold: ThresholdOption = None,
    root_threshold: RootThresholdOption = None,
    targets_threshold: TargetsThresholdOption = None,
    output: OutputOption = OutputFormat.table,
) -> None:
    """Draft the next root, in which a person signs no more: one who leaves, or whose keys others may have.

    At a site that has taken the new root, nothing that this person signs counts, whatever date it bears. A threshold
    that can no longer be met is not lowered silently: set it.
    """
    history = complete_roots(roots)
    plan = _leave(_plan(history), name, _roles(role, GRANTED_ROLES))
    plan = _with_thresholds(plan, threshold, root_threshold, targets_threshold)
    _write(roots, history, _granting(plan, None), output)


def rotate(  # noqa: PLR0913 - everything that a new root may change
    roots: RootsOption,
    *,
    remove: Annotated[
        list[str] | None, typer.Option("--remove", metavar="NAME", help="A person who goes; repeatable.")
    ] = None,
    add: Annotated[
        list[Path] | None, typer.Option("--add", metavar="NAME.pub", help="A person who comes; repeatable.")
    ] = None,
    release: Annotated[
        Path | None, typer.Option("--release", metavar="NAME.pub", help="New key that seals bundles.")
    ] = None,
    threshold: ThresholdOption = None,
    root_threshold: RootThresholdOption = None,
    targets_threshold: TargetsThresholdOption = None,
    add_models: Annotated[
        list[Path] | None,
        typer.Option("--add-models", metavar="NAME.pub", help="A person who may bring models; repeatable."),
    ] = None,
    remove_models: Annotated[
        list[str] | None,
        typer.Option("--remove-models", metavar="NAME", help="A person who may no more; with the last, nobody may."),
    ] = None,
    models_threshold: Annotated[
        int | None, typer.Option("--models-threshold", metavar="K", help="How many must sign a bundle of models.")
    ] = None,
    output: OutputOption = OutputFormat.table,
) -> None:
    """Draft the next root, with any number of changes at once, or none but a new expiry.

    Persons for models may bring models to sites that run already, and nothing else (`sovereign model import`).

    To give a person new keys, remove and add the name. A new release key makes the version floors of what it signs
    start anew at every site: that is how a site recovers from versions that somebody drove up.
    """
    history = complete_roots(roots)
    plan = _plan(history)
    for name in remove or ():
        plan = _leave(plan, name, GRANTED_ROLES)
    for name in remove_models or ():
        plan = _leave(plan, name, (MODELS,))
    for path in add or ():
        plan = _join(plan, load_public(path), PERSONS_ROLES)
    for path in add_models or ():
        plan = _join(plan, load_public(path), (MODELS,))
    if release is not None:
        plan = replace(plan, release=load_public(release))
    plan = _with_thresholds(plan, threshold, root_threshold, targets_threshold)
    _write(roots, history, _granting(plan, models_threshold), output)


def sign_root(  # noqa: PLR0913 - a key needs two descriptors where nobody types
    draft: DraftArgument,
    key: Annotated[Path, typer.Option("--key", metavar="NAME.key", help="Your key file, or key description.")],
    *,
    yes: YesOption = False,
    passphrase_fd: PassphraseFdOption = None,
    pin_fd: PinFdOption = None,
    output: OutputOption = OutputFormat.table,
) -> None:
    """Sign a draft of a root with both halves, having read what it changes.

    It is complete when enough persons of the old root and enough of the new one signed; after that nothing is added.
    """
    now = datetime.now(UTC)
    found = open_draft(draft)
    if found.check(now).complete:
        raise found.completed()
    consent(describe_root(found), f"sign root {found.metadata.signed.version}?", yes=yes)
    with opened(key, passphrase_fd, pin_fd) as signer:
        signed = found.signed_by(signer, now)
    write_draft(draft.parent, signed)
    _show(signed, output)


def _plan(history: dict[int, bytes]) -> RootPlan:
    return RootPlan.of(follow_roots(history))


def _roles(given: Sequence[str] | None, possible: tuple[str, ...]) -> tuple[str, ...]:
    unknown = set(given or ()) - set(possible)
    if unknown:
        raise UsageError(f"{min(unknown)} is no role of persons here", " or ".join(possible))
    return tuple(given or possible)


def _join(plan: RootPlan, newcomer: PublicSigner, roles: Sequence[str]) -> RootPlan:
    circles = dict(plan.circles)
    for role in roles:
        circle = circles.get(role) or Circle({}, 1)
        if newcomer.name in circle.members:
            raise SigningError(
                f"{newcomer.name} signs {role} already", "for new keys: rotate --remove and --add the name"
            )
        circles[role] = replace(circle, members={**circle.members, newcomer.name: newcomer})
    return replace(plan, circles=circles)


def _leave(plan: RootPlan, name: str, roles: Sequence[str]) -> RootPlan:
    if not set(plan.roles_of(name)) & set(roles):
        raise SigningError(
            f"the root names no {name} for {' or '.join(roles)}", "`sovereign trust show` tells who signs"
        )
    circles = dict(plan.circles)
    for role in roles:
        if role in circles:
            members = {other: signer for other, signer in circles[role].members.items() if other != name}
            circles[role] = Circle(members, circles[role].threshold)
    return replace(plan, circles=circles)


def _granting(plan: RootPlan, threshold: int | None) -> RootPlan:
    """``plan`` with the threshold for models; the grant ends with its last person."""
    circles = dict(plan.circles)
    if MODELS in circles and threshold is not None:
        circles[MODELS] = replace(circles[MODELS], threshold=threshold)
    if MODELS in circles and not circles[MODELS].members:
        del circles[MODELS]
    return replace(plan, circles=circles)


def _with_thresholds(plan: RootPlan, both: int | None, root: int | None, targets: int | None) -> RootPlan:
    circles = dict(plan.circles)
    for role, own in ((ROOT, root), (TARGETS, targets)):
        wanted = both if own is None else own
        if wanted is not None:
            circles[role] = replace(circles[role], threshold=wanted)
    return replace(plan, circles=circles)


def _write(roots: Path, history: dict[int, bytes], plan: RootPlan, output: OutputFormat) -> None:
    draft = RootDraft.successor(history, plan, now=datetime.now(UTC))
    for line in describe_root(draft):
        say(line)
    say(f"written to {write_draft(roots, draft)}; next: persons sign it, `sovereign trust sign-root`")
    _show(draft, output)


def _show(draft: RootDraft, output: OutputFormat) -> None:
    summary = root_summary(draft.data, draft.history)
    emit(summary, output, lambda console: render_root(console, summary))
