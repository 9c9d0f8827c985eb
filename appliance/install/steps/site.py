"""Steps that make a place for the site: users, folders, the operator's files."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from appliance.install.accounts import accounts_present, make_accounts
from appliance.install.layout import folders_present, make_folders, site_folders
from appliance.install.model_check import check_models
from appliance.install.runner import Advance, Step
from appliance.install.steps.context import digest
from appliance.site.secrets import write_private

if TYPE_CHECKING:
    from collections.abc import Mapping

    from appliance.install.steps.context import Context


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
        release_policy = Path(context.only("policy").files["models.yaml"].path).read_bytes()
        return {"models.yaml": release_policy, **context.files.installed()}

    def work(_: Advance) -> Mapping[str, str]:
        waived = check_models(context.config, context.release, wanted())
        _replace_folder(context.paths.policies, wanted())
        write_private(context.paths.site_yaml, context.files.site_yaml)
        context.paths.site_yaml.chmod(0o644)
        return {"waived": ", ".join(waived)} if waived else {}

    return Step(
        name="policies",
        title="site file, model policy, officers and waivers",
        after=("folders",),
        inputs=lambda: {
            "site.yaml": digest(context.files.site_yaml),
            "release": context.release.version,
            **{name: digest(data) for name, data in wanted().items()},
        },
        run=work,
        present=lambda: context.paths.site_yaml.is_file() and (context.paths.policies / "models.yaml").is_file(),
    )


def _replace_folder(policies: Path, files: Mapping[str, bytes]) -> None:
    """Make ``policies`` hold exactly ``files`` beside the log's verifier keys."""
    for name in ("officers", "waivers"):
        shutil.rmtree(policies / name, ignore_errors=True)
        (policies / name).mkdir(mode=0o755)
        (policies / name).chmod(0o755)
    for name, data in files.items():
        write_private(policies / name, data)
        (policies / name).chmod(0o644)
