"""Every model that a site holds: those of the active release, and those of the bundles of models it has taken in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from airgap_bundle.errors import StoreError, VerificationError
from airgap_bundle.model_bundle import SHELF, withdrawn
from airgap_bundle.store import RELEASES, Store
from airgap_bundle.trust_state import TrustState
from appliance.errors import UsageError
from appliance.models.errors import ArtifactError, ModelRefusedError
from appliance.models.passage import MODEL_KIND
from appliance.models.record import PARTS, parse_record
from appliance.models.serving import damaged_decisions, read_decisions

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airgap_bundle.store import Artifact, VerifiedRelease
    from appliance.models.serving import Choice
    from appliance.site.paths import SitePaths

MIN_PREFIX = 6
MEND = "import that bundle again"
_RESTORE = "restore {} from a backup, or bring its models in a newer bundle"
_LIST = "`sovereign model list` shows what is here"


@dataclass(frozen=True)
class Held:
    """One model in the store. ``withdrawn`` says why it may not be chosen any more."""

    shelf: str
    bundle: VerifiedRelease
    artifact: Artifact
    withdrawn: str | None = None

    @property
    def name(self) -> str:
        """The model's name."""
        return self.artifact.name

    @property
    def weights(self) -> str:
        """Digest of the weights, as receipts name it."""
        return f"sha256:{parse_record(self.artifact.config).weights.sha256}"

    @property
    def from_release(self) -> bool:
        """Whether it came with the active release."""
        return self.shelf == RELEASES

    def is_choice(self, choice: Choice) -> bool:
        """Whether ``choice`` is about this very artifact of this very bundle."""
        return (self.shelf, self.bundle.version, str(self.artifact.digest)) == (
            choice.shelf,
            choice.version,
            choice.digest,
        )

    def matches(self, digest: str) -> bool:
        """Whether the digest of the artifact, or of its weights, begins with ``digest``. Raises ``UsageError``."""
        wanted = digest.removeprefix("sha256:")
        if len(wanted) < MIN_PREFIX:
            raise UsageError(f"{digest} is too short to name a model", f"give at least {MIN_PREFIX} digits")
        found = (str(self.artifact.digest), self.weights)
        return any(each.removeprefix("sha256:").startswith(wanted) for each in found)


@dataclass(frozen=True)
class Damaged:
    """A bundle of models that the store holds damaged: nobody can tell any more which models were in it.

    Where its record is what was damaged, ``number`` is None, ``signers`` are unknown and ``version`` is what the file
    is called. ``mend`` says how it is put right.
    """

    version: str
    number: int | None
    cause: str
    withdrawn: str | None
    signers: tuple[str, ...]
    mend: str

    def __str__(self) -> str:
        return f"bundle {self.version} is damaged: {self.cause}"

    def may_hide_newer(self, than: Held) -> bool:
        """Whether a model may have been in it that is newer ``than`` this one, and may be chosen."""
        if self.withdrawn is not None:
            return False
        return than.from_release or self.number is None or self.number > than.bundle.number


def held_models(paths: SitePaths, active: VerifiedRelease) -> tuple[Held, ...]:
    """Every model at the site, parts of others included: the release's first, then bundles, the newest first.

    Those of damaged bundles are not among them (``damaged_bundles``). Raises ``TrustStateLostError``.
    """
    whole, _ = _opened(paths)
    return (
        *(Held(RELEASES, active, artifact) for artifact in _models(active)),
        *(Held(SHELF, bundle, artifact, reason) for bundle, reason in whole for artifact in _models(bundle)),
    )


def damaged_bundles(paths: SitePaths) -> tuple[Damaged, ...]:
    """The bundles of models that the store holds damaged, their record or more. Raises as ``held_models``."""
    return _opened(paths)[1]


def _opened(paths: SitePaths) -> tuple[list[tuple[VerifiedRelease, str | None]], tuple[Damaged, ...]]:
    """The bundles of models, the newest first, each with why it may not be chosen any more; and those damaged."""
    shelf = Store(paths.store, SHELF)
    whole: list[tuple[VerifiedRelease, str | None]] = []
    records, unreadable = shelf.survey()
    damaged = [
        Damaged(lost.version, None, str(lost), None, (), f"{MEND}; if it is an older one, {_RESTORE.format('it')}")
        for lost in unreadable
    ]
    trust = TrustState.load(paths.trust) if records else None
    for record in reversed(records):
        assert trust is not None
        reason = withdrawn(record, trust)
        try:
            whole.append((shelf.open_record(record), reason))
        except (VerificationError, StoreError) as error:
            newest = record.release == trust.models_digest and reason is None
            mend = MEND if newest else _RESTORE.format(paths.store)
            damaged.append(Damaged(record.version, record.number, error.cause, reason, record.signers, mend))
    return whole, tuple(damaged)


def in_force(paths: SitePaths, name: str, active: VerifiedRelease) -> VerifiedRelease:
    """The release or bundle whose model ``name`` an engine loads now.

    A decision for a release's model ends with that release: another release brings its own. Raises ``ArtifactError``
    when the decision names what the store does not hold, and ``ModelRefusedError`` when those who bring models now have
    ended its use.
    """
    choice = read_decisions(paths, name).loads
    if choice is None or choice.from_release:
        return active
    bundle = Store(paths.store, SHELF).open_release(choice.version)
    artifact = bundle.artifacts.get(name)
    if artifact is None or str(artifact.digest) != choice.digest:
        raise ArtifactError(
            f"bundle {choice.version} holds another model {name} than was decided for",
            "`sovereign model list`, then promote one",
        )
    trust = TrustState.load(paths.trust)
    if bundle.root_fingerprint in trust.models_roots and bundle.number < trust.models_min:
        raise ModelRefusedError(f"{name}: {withdrawn(bundle, trust)}", "promote another one: `sovereign model list`")
    return bundle


def absent(paths: SitePaths, names: Iterable[str], release: VerifiedRelease) -> tuple[str, ...]:
    """Those of ``names`` that ``release`` has no model for, and no bundle's was chosen: an engine has nothing to load.

    A site that came back from its backup is so until the bundle that brought a model comes again. A name whose
    decisions are damaged is not among them: what was chosen is not known.
    """
    names = tuple(names)
    offered = {artifact.name for artifact in _models(release)} | damaged_decisions(paths, names).keys()
    asked = {name: read_decisions(paths, name).loads for name in names if name not in offered}
    return tuple(name for name, choice in asked.items() if choice is None or choice.from_release)


def ended(paths: SitePaths, name: str, trust: TrustState | None = None) -> str | None:
    """Why the model that an operator let serve as ``name`` may not be chosen any more, or None.

    ``trust`` stands in the place of the site's: what a bundle would teach it.
    Raises ``StoreError`` or ``TrustStateLostError`` where that cannot be told.
    """
    choice = read_decisions(paths, name).in_force
    if choice is None or choice.from_release:
        return None
    record = Store(paths.store, SHELF).record(choice.version)
    return withdrawn(record, trust or TrustState.load(paths.trust))


def pick(models: tuple[Held, ...], name: str, digest: str | None, damaged: tuple[Damaged, ...] = ()) -> Held:
    """The one model ``name`` that may be chosen and whose artifact or weights begin with ``digest``, or the newest.

    Raises ``UsageError`` for none or several, ``ModelRefusedError`` for one whose use has been ended, ``ArtifactError``
    where a bundle is ``damaged`` that may have brought a newer one.
    """
    named = [held for held in models if held.name == name]
    named = [held for held in named if held.matches(digest)] if digest is not None else _newest(named)
    if not named:
        raise UsageError(f"there is no model {name}{f' with digest {digest}' if digest else ''} here", _LIST)
    if len({str(held.artifact.digest) for held in named}) > 1:
        raise UsageError(f"{len(named)} models {name} begin with {digest}", "give more digits")
    usable = [held for held in named if held.withdrawn is None]
    if not usable:
        raise ModelRefusedError(f"{name}: {named[0].withdrawn}", _LIST)
    if usable[0].artifact.config.get("role") in PARTS:
        raise ModelRefusedError(f"{name} is part of another model and is not served by itself", _LIST)
    hidden = next((d for d in damaged if d.may_hide_newer(usable[0])), None)
    if digest is None and hidden is not None:
        raise ArtifactError(f"{hidden}; it may hold a newer {name}", f"{hidden.mend}, or name a model with --digest")
    return usable[0]


def _newest(named: list[Held]) -> list[Held]:
    """The model of the newest bundle that may be chosen; without a bundle, the release's.

    Numbers start anew when the right to bring models changes hands, so that the highest may be a former holder's.
    """
    imported = [held for held in named if held.shelf == SHELF]
    usable = [held for held in imported if held.withdrawn is None]
    return usable[:1] or imported[:1] or named[:1]


def _models(bundle: VerifiedRelease) -> list[Artifact]:
    """Its models by name, those included that are part of another."""
    return sorted((a for a in bundle.artifacts.values() if a.kind == MODEL_KIND), key=lambda artifact: artifact.name)
