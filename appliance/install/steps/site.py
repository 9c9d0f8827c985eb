"""Steps that make a place for the site: users, folders, the operator's files."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from appliance.install.accounts import accounts_present, make_accounts
from appliance.install.backup.mark import restoring_from
from appliance.install.backup.recovery_key import FOLDER as RECOVERY
from appliance.install.file_changes import Digests, digests_of_changes, journaled_changes, last_said
from appliance.install.journal import read_journal
from appliance.install.layout import folders_present, make_folders, site_folders
from appliance.install.model_check import AUDITORS, OFFICERS, POLICY, STATEMENTS, WAIVERS, check_models, write_policies
from appliance.install.runner import Advance, Step
from appliance.install.steps.context import digest
from appliance.models.serving import damaged_decisions
from appliance.models.shelf import absent, held_models, in_force
from appliance.models.unservable import unservable
from appliance.site.load import load_site
from appliance.site.secrets import write_private

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airgap_bundle.store import VerifiedRelease
    from appliance.install.steps.context import Context
    from appliance.site.config import SiteConfig


_POLICIES = "policies"
_FOLDERS = (OFFICERS, AUDITORS, WAIVERS, STATEMENTS, RECOVERY)
"""Of the policies: whatever the operator does not bring any more goes."""


def site_steps(context: Context) -> tuple[Step, ...]:
    """Users → folders → the operator's files."""
    return (_users(context), _folders(context), _policies(context))


def _users(context: Context) -> Step:
    def work(_: Advance) -> None:
        make_accounts(context.config, context.paths)

    return Step(
        name="users",
        title="users of the services",
        inputs=lambda: dict(context.accounts.users),
        run=work,
        present=lambda: accounts_present(context.config, context.paths),
    )


def _folders(context: Context) -> Step:
    def work(_: Advance) -> None:
        make_folders(site_folders(context.paths, context.accounts), context.accounts)

    return Step(
        name="folders",
        title="folders and their modes",
        after=("users",),
        inputs=lambda: {str(f.path): f"{f.mode:o} {f.user}" for f in site_folders(context.paths, context.accounts)},
        run=work,
        present=lambda: folders_present(site_folders(context.paths, context.accounts)),
    )


def _policies(context: Context) -> Step:
    """The files go in only when every model passes the gate with them; a refusal leaves the old ones in force."""

    def wanted() -> dict[str, bytes]:
        return _installed(context)

    def work(_: Advance) -> Mapping[str, str]:
        waived = judge_models(context)
        for name in _FOLDERS:
            shutil.rmtree(context.paths.policies / name, ignore_errors=True)
        write_policies(context.paths.policies, wanted())
        write_private(context.paths.site_yaml, context.files.site_yaml)
        context.paths.site_yaml.chmod(0o644)
        return {"waived": ", ".join(waived)} if waived else {}

    return Step(
        name=_POLICIES,
        title="models pass the gate; site file, policy, officers and waivers",
        after=("folders",),
        inputs=lambda: {
            "site.yaml": digest(context.files.site_yaml),
            "release": str(context.release.digest),
            **{name: digest(data) for name, data in wanted().items()},
        },
        run=work,
        present=lambda: not _changes(context, wanted()),
        plan=lambda: journaled_changes(_changes(context, wanted())),
    )


def _changes(context: Context, installed: Mapping[str, bytes]) -> Digests:
    """Which files of the operator come, change and go: the journal's word, and by it the log's."""
    policies = context.paths.policies
    wanted = {"site.yaml": (context.paths.site_yaml, context.files.site_yaml)}
    wanted |= {name: (policies / name, data) for name, data in installed.items()}
    said = last_said(one for one in read_journal(context.paths.journal) if one.step == _POLICIES)
    return digests_of_changes(wanted, [(name, policies / name) for name in _FOLDERS], said)


def judge_models(context: Context) -> tuple[str, ...]:
    """Put the models of the site through the gate of the context's release; which rest on waivers, and whose.

    Nothing that is in force is changed. Raises as ``check_models``.
    """
    staged = context.paths.policies.with_name("policies.partial")
    shutil.rmtree(staged, ignore_errors=True)
    try:
        write_policies(staged, _installed(context))
        return check_models(_loadable(context), context.release, staged, _chosen(context), _brought(context))
    finally:
        shutil.rmtree(staged, ignore_errors=True)


def _installed(context: Context) -> dict[str, bytes]:
    with context.only("policy").files[POLICY].open() as stream:
        release_policy = stream.read()
    return {POLICY: release_policy, **context.files.installed()}


def _loadable(context: Context) -> SiteConfig:
    """The site without models that nothing loads, of which nobody can tell what to judge.

    Those are models whose decisions are damaged, and those that only a bundle of models brought which has not come
    again since a restore: the site is being restored, or the installed site.yaml names them and they lack already.
    """
    names = [model.name for model in context.config.models]
    without = {*damaged_decisions(context.paths, names), *_awaited(context, names)}
    return context.config.model_copy(
        update={"models": tuple(m for m in context.config.models if m.name not in without)}
    )


def _awaited(context: Context, names: Sequence[str]) -> tuple[str, ...]:
    paths, lacking = context.paths, absent(context.paths, names, context.release)
    if not lacking or restoring_from(paths) is not None or not paths.site_yaml.exists():
        return lacking if restoring_from(paths) is not None else ()
    before = [model.name for model in load_site(paths.site_yaml).models]
    return tuple(name for name in lacking if name in unservable(before, paths))


def _brought(context: Context) -> set[str]:
    """Names of models that the site holds in bundles of models."""
    return {held.name for held in held_models(context.paths, context.release) if not held.from_release}


def _chosen(context: Context) -> dict[str, VerifiedRelease]:
    """Bundles of models whose model an operator let serve: it is what this site's engines will load."""
    found = {m.name: in_force(context.paths, m.name, context.release) for m in _loadable(context).models}
    return {name: bundle for name, bundle in found.items() if bundle is not context.release}
