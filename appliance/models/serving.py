"""Which version of a model serves: one small file per model, the decisions in order, the last one in force.

Without a file the active release's model serves. The file names what was decided by digests and vouches for nothing:
whoever loads a model passes it through the gate all the same. A *trial* is a decision that has not yet been shown to
work: it is what an engine loads while it is there, and whoever finds one without its promotion under way takes it away.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Self

from airgap_bundle import durable, strict_json
from airgap_bundle.errors import FormatError, StoreError
from airgap_bundle.model_bundle import SHELF
from airgap_bundle.store import RELEASES
from appliance.errors import DeploymentError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from appliance.site.paths import SitePaths

MAX_BYTES = 1 << 20
MAX_DECISIONS = 500
_FIELDS = ("shelf", "version", "digest", "weights", "since", "by", "reason")


class DecisionsDamagedError(DeploymentError):
    """The file with the decisions about one model is damaged."""


@dataclass(frozen=True)
class Choice:
    """One decision. ``shelf`` and ``version`` name the release or bundle of models, ``digest`` the artifact in it.

    ``weights`` is the digest that receipts name. ``by`` decided it ``since`` then, for ``reason``.
    """

    shelf: str
    version: str
    digest: str
    weights: str
    since: str
    by: str
    reason: str

    @property
    def from_release(self) -> bool:
        """Whether it came with a release."""
        return self.shelf == RELEASES

    @classmethod
    def parse(cls, value: Any) -> Self:
        """Read one. Raises ``FormatError``."""
        if not isinstance(value, dict) or any(not isinstance(value.get(name), str) for name in _FIELDS):
            raise FormatError("a decision lacks a field")
        if value["shelf"] not in {RELEASES, SHELF}:
            raise FormatError(f"a decision of no known kind: {value['shelf']!r:.40}")
        return cls(*(value[name] for name in _FIELDS))


@dataclass(frozen=True)
class Decisions:
    """The file: ``made`` oldest first, and the ``trial`` under way."""

    made: tuple[Choice, ...] = ()
    trial: Choice | None = None

    @property
    def in_force(self) -> Choice | None:
        """The last decision: shown to work, where an engine serves the name."""
        return self.made[-1] if self.made else None

    @property
    def loads(self) -> Choice | None:
        """What an engine that starts now loads."""
        return self.trial or self.in_force

    def decided(self, *choices: Choice) -> Self:
        """With ``choices`` made, and none on trial. Of very many the oldest are forgotten here; the log keeps them."""
        return replace(self, made=(*self.made, *choices)[-MAX_DECISIONS:], trial=None)


def read_decisions(paths: SitePaths, model: str) -> Decisions:
    """What was decided about ``model``. Raises ``DecisionsDamagedError``: nobody guesses what serves."""
    path = paths.serving(model)
    try:
        value = strict_json.load_object(path.read_bytes(), max_bytes=MAX_BYTES)
        return _parse(value, model)
    except FileNotFoundError:
        return Decisions()
    except (OSError, FormatError) as error:
        cause = error.cause if isinstance(error, FormatError) else str(error.strerror)
        raise DecisionsDamagedError(f"{path} cannot be read: {cause}", "restore it from a backup") from error


def damaged_decisions(paths: SitePaths, models: Iterable[str]) -> dict[str, DecisionsDamagedError]:
    """Those of ``models`` whose file is damaged, and how: their engines stay down, and no other does for that."""
    found: dict[str, DecisionsDamagedError] = {}
    for model in models:
        try:
            read_decisions(paths, model)
        except DecisionsDamagedError as error:
            found[model] = error
    return found


def _parse(value: dict[str, Any], model: str) -> Decisions:
    if value.get("schema") != 1 or value.get("model") != model or not isinstance(value.get("made"), list):
        raise FormatError("it is no list of decisions about this model")
    trial = value.get("trial")
    return Decisions(tuple(map(Choice.parse, value["made"])), None if trial is None else Choice.parse(trial))


def write_decisions(paths: SitePaths, model: str, decisions: Decisions) -> None:
    """Put ``decisions`` in force, durably and at once. Raises ``DeploymentError``; what was in force is so still."""
    path = paths.serving(model)
    value = {
        "schema": 1,
        "model": model,
        "made": [asdict(choice) for choice in decisions.made],
        "trial": None if decisions.trial is None else asdict(decisions.trial),
    }
    try:
        _make_folder(path.parent)
        durable.replace(path, strict_json.dumps(value))
    except (OSError, StoreError) as error:
        cause = error.cause if isinstance(error, StoreError) else f"{path}: {error.strerror}"
        raise DeploymentError(cause, "check free space and rights") from error


def forget_decisions(paths: SitePaths, model: str) -> None:
    """Take the file away: the active release's model serves again."""
    paths.serving(model).unlink(missing_ok=True)
    if paths.serving(model).parent.is_dir():
        durable.sync_directory(paths.serving(model).parent)


def _make_folder(folder: Path) -> None:
    """A site that was installed before there were decisions lacks it."""
    if not folder.is_dir():
        folder.mkdir(mode=0o755)
        folder.chmod(0o755)
