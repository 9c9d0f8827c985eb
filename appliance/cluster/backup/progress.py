"""How far a restore of a cluster came, beside the mark that says that one is under way."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from airgap_bundle import durable
from airgap_bundle.digest import Digest
from appliance.errors import DeploymentError

if TYPE_CHECKING:
    from pathlib import Path

    from appliance.site.paths import SitePaths

PLACED, HOSTS, DATABASES, LOG, DOORS, ERASED = "placed", "hosts", "databases", "log", "doors", "erased"
_OF_BOTH = (HOSTS, DATABASES, DOORS, ERASED)
"""What depends on the subject keys or the later log as well, or comes behind what does; and what stops all that was
started on it."""


@dataclass(frozen=True)
class Progress:
    """Which steps are done, of the backup and with the subject keys of these digests, and with which later log.

    ``state_host`` is where the state goes, by name and address. ``kept``: this machine had the site before, and its
    trust and its keys are those.
    """

    backup: Digest
    subject_keys: Digest
    kept: bool
    state_host: str
    done: tuple[str, ...] = ()
    later_log: str = ""
    """The root of the later copy of the log that tells of erasures; empty: there is none."""

    def with_done(self, step: str) -> Progress:
        """One step further."""
        return replace(self, done=(*self.done, step))

    def on_with(self, subject_keys: Digest, later_log: str = "") -> Progress:
        """The same with subject keys or a later log that may be others: what was made of the former is done again."""
        if (subject_keys, later_log) == (self.subject_keys, self.later_log):
            return self
        done = tuple(step for step in self.done if step not in _OF_BOTH)
        return replace(self, subject_keys=subject_keys, later_log=later_log, done=done)


def read_progress(paths: SitePaths) -> Progress | None:
    """What is kept; None: nothing was begun. Raises ``DeploymentError`` for a damaged file."""
    path = _file(paths)
    try:
        told = json.loads(path.read_bytes())
        digests = (Digest.parse(told["backup"]), Digest.parse(told["subject_keys"]))
        done, later = tuple(map(str, told["done"])), str(told.get("later_log", ""))
        return Progress(*digests, bool(told["kept"]), str(told["state_host"]), done, later)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DeploymentError(f"{path} is damaged", "uninstall this site, and restore it anew") from error


def write_progress(paths: SitePaths, progress: Progress) -> None:
    """Whole or as before. Raises ``StoreError``."""
    told = {
        "backup": str(progress.backup),
        "subject_keys": str(progress.subject_keys),
        "state_host": progress.state_host,
        "later_log": progress.later_log,
    }
    _file(paths).parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    durable.replace(_file(paths), json.dumps({**told, "kept": progress.kept, "done": progress.done}).encode() + b"\n")


def forget_progress(paths: SitePaths) -> None:
    """The site is whole."""
    _file(paths).unlink(missing_ok=True)


def _file(paths: SitePaths) -> Path:
    return paths.cluster_state.with_name("restore.json")
