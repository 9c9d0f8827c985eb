"""Every model that a site holds: those of the active release, and those of the bundles of models it has taken in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from airgap_bundle.errors import StoreError
from airgap_bundle.model_bundle import SHELF, withdrawn
from airgap_bundle.store import RELEASES, Store
from airgap_bundle.trust_state import TrustState
from appliance.errors import UsageError
from appliance.models.errors import ArtifactError, ModelRefusedError
from appliance.models.passage import MODEL_KIND
from appliance.models.record import PARTS, parse_record
from appliance.models.serving import read_decisions

if TYPE_CHECKING:
    from airgap_bundle.store import Artifact, VerifiedRelease
    from appliance.models.serving import Choice
    from appliance.site.paths import SitePaths

MIN_PREFIX = 6
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


def held_models(paths: SitePaths, active: VerifiedRelease) -> tuple[Held, ...]:
    """Every model at the site, parts of others included: the release's first, then bundles, the newest first.

    Raises what ``Store.open_release`` raises when the store was damaged.
    """
    shelf = Store(paths.store, SHELF)
    found = [Held(RELEASES, active, artifact) for artifact in _models(active)]
    trust = TrustState.load(paths.trust) if (records := shelf.records()) else None
    for record in reversed(records):
        assert trust is not None
        bundle = shelf.open_record(record)
        reason = withdrawn(bundle, trust)
        found += [Held(SHELF, bundle, artifact, reason) for artifact in _models(bundle)]
    return tuple(found)


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


def ended(paths: SitePaths, name: str) -> str | None:
    """Why the model that an operator let serve as ``name`` may not be chosen any more, or None.

    Raises ``StoreError`` or ``TrustStateLostError`` where that cannot be told.
    """
    choice = read_decisions(paths, name).in_force
    if choice is None or choice.from_release:
        return None
    record = next((r for r in Store(paths.store, SHELF).records() if r.version == choice.version), None)
    if record is None:
        raise StoreError(f"bundle {choice.version}, whose model {name} serves, is not in the store", _LIST)
    return withdrawn(record, TrustState.load(paths.trust))


def pick(models: tuple[Held, ...], name: str, digest: str | None) -> Held:
    """The one model ``name`` that may be chosen and whose artifact or weights begin with ``digest``, or the newest.

    Raises ``UsageError`` for none or several, ``ModelRefusedError`` for one whose use has been ended.
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
