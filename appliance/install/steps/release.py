"""Steps that turn a verified release into folders a service can run from: environment, Keycloak, activation."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from airgap_bundle.archive import extract
from appliance.identity.keycloak_server import build_launch, java_home
from appliance.install.model_record import operator
from appliance.install.process import run
from appliance.install.release_env import build_environment, compile_environment, environment_present, site_packages
from appliance.install.runner import Advance, Step
from appliance.site.secrets import write_private

if TYPE_CHECKING:
    from collections.abc import Mapping

    from appliance.install.steps.context import Context

ARCHIVE = "keycloak.tar"
THEME = Path("appliance", "identity", "theme")
THEME_NAME = "sovereign"


def release_steps(context: Context) -> tuple[Step, ...]:
    """Environment and Keycloak side by side, then the switch of ``current``."""
    return (_environment(context), _bytecode(context), _keycloak_files(context), _keycloak(context), _activate(context))


def _environment(context: Context) -> Step:
    def work(_: Advance) -> None:
        build_environment(context.only("wheelhouse"), context.env, context.python)

    return Step(
        name="environment",
        title="Python environment from the wheelhouse",
        after=("folders",),
        behind=("policies",),
        inputs=lambda: {"wheelhouse": str(context.only("wheelhouse").digest), "python": str(context.python)},
        run=work,
        present=lambda: environment_present(context.env),
    )


def _bytecode(context: Context) -> Step:
    def work(_: Advance) -> None:
        compile_environment(context.env)

    return Step(name="bytecode", title="byte code of the environment", after=("environment",), inputs=dict, run=work)


def _keycloak_files(context: Context) -> Step:
    def work(_: Advance) -> None:
        shutil.rmtree(context.keycloak, ignore_errors=True)
        context.folder.mkdir(parents=True, exist_ok=True)  # the environment, beside this step, may not have made it
        with context.only("keycloak").files[ARCHIVE].open() as archive:
            extract(archive, context.keycloak)

    return Step(
        name="keycloak-files",
        title="Keycloak's files",
        after=("folders",),
        behind=("policies",),
        inputs=lambda: {"keycloak": str(context.only("keycloak").digest)},
        run=work,
        present=(context.keycloak / "lib" / "quarkus-run.jar").is_file,
    )


def _keycloak(context: Context) -> Step:
    def work(_: Advance) -> None:
        _copy_theme(site_packages(context.env) / THEME, context.keycloak / "themes" / THEME_NAME)
        launch = build_launch(context.keycloak, java_home(context.env))
        run(launch.argv, env=launch.env, cwd=context.keycloak)
        _open_to_readers(context.keycloak)

    def wanted() -> Mapping[str, str]:
        return {"argv": json.dumps(build_launch(context.keycloak, java_home(context.env)).argv)}

    return Step(
        name="keycloak",
        title="Keycloak, built for this site",
        after=("environment", "keycloak-files"),
        inputs=wanted,
        run=work,
        present=(context.keycloak / "lib" / "quarkus" / "quarkus-application.dat").is_file,
    )


def _activate(context: Context) -> Step:
    release = context.release
    description = {
        "version": release.version,
        "number": release.number,
        "name": release.name,
        "root_fingerprint": release.root_fingerprint,
        "signers": list(release.signers),
    }

    def work(_: Advance) -> Mapping[str, str]:
        path = context.folder / "release.json"
        write_private(path, json.dumps(description, indent=1).encode() + b"\n")
        path.chmod(0o644)
        _point(context.paths.current, Path("releases", release.version))
        return {"release": release.version, "by": operator()}

    return Step(
        name="activate",
        title="active release",
        after=("environment", "bytecode", "keycloak"),
        inputs=lambda: {"release": json.dumps(description)},
        run=work,
        present=lambda: context.paths.current.resolve() == context.folder.resolve(),
    )


def _copy_theme(source: Path, target: Path) -> None:
    shutil.rmtree(target, ignore_errors=True)
    if source.is_dir():
        shutil.copytree(source, target)


def _open_to_readers(folder: Path) -> None:
    """Service users read what root built; nobody but root writes it."""
    for parent, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(parent, name)
            path.chmod((path.stat().st_mode | 0o444 | (0o111 if path.is_dir() else 0)) & ~0o022)


def _point(link: Path, target: Path) -> None:
    """Switch ``link`` to ``target`` at once: there is never no active release."""
    part = link.with_name(link.name + ".partial")
    part.unlink(missing_ok=True)
    part.symlink_to(target)
    part.rename(link)
