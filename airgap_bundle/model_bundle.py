"""A bundle of models: what a site may take in between releases, under a grant of its root.

The layout is a release's (OCI and ``release.json``), with one metadata file in the place of three: ``models.json``,
TUF targets of a role that the root delegates by name (``metadata.role_in``). Nothing else is there to be mixed with, so
nothing seals it. The checks are those of ``verify`` in their order, with these in the place of some:

- ``grant``           the root in force grants the role ``models`` to somebody
- ``models …``        k of those persons signed ``models.json``, by Ed25519, by ML-DSA-65, and by both
- ``metadata agrees``  they signed it under the root in force, and not under an earlier one
- ``scope``           every artifact is a model: nothing that runs, and no policy, comes in this way
- ``versions`` and ``release number``    the role's own floor, and the digest that the site holds at that number. A
  bundle that the site took in and lost may come below it, down to the lowest number that may still be used: a site that
  was made again from a backup has lost its store, and kept its floors
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, TypeAlias

from airgap_bundle.blobs import hash_blob
from airgap_bundle.digest import sha256
from airgap_bundle.errors import ExpiredError, NotGrantedError, ReleaseConflictError
from airgap_bundle.importer import locked, on_root, record_of
from airgap_bundle.intake import Intake
from airgap_bundle.media.opening import open_bundle
from airgap_bundle.metadata import INDEX_FILE, MODELS, RELEASE_FILE
from airgap_bundle.root_policy import charge
from airgap_bundle.store import MODELS_SHELF, Store
from airgap_bundle.supply import StoreSupply
from airgap_bundle.trust_state import TrustState, fingerprint
from airgap_bundle.verify import AGREES, Verification

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime
    from pathlib import Path

    from airgap_bundle.blobs import Progress
    from airgap_bundle.medium import BundleSource
    from airgap_bundle.oci import Release
    from airgap_bundle.report import Report
    from airgap_bundle.store import VerifiedRelease
    from airgap_bundle.store_record import Record
    from airgap_bundle.supply import Supply

SHELF = MODELS_SHELF
KIND = "model"
TakenBefore: TypeAlias = "Callable[[Release], bool]"
"""Whether a site took in the bundle that ``release.json`` describes so, and has it no more."""


class ModelVerification(Verification):
    """As ``Verification``, of a bundle of models."""

    persons: ClassVar[str] = MODELS
    signed_by: ClassVar[tuple[str, ...]] = (MODELS,)

    def __init__(
        self,
        medium: BundleSource,
        trust: TrustState,
        now: datetime,
        supply: Supply | None = None,
        taken_before: TakenBefore | None = None,
    ) -> None:
        super().__init__(medium, trust, now, supply)
        self._taken_before = taken_before
        self.comes_again = False
        """Whether it is below the floor, and the site took it in before."""

    def _check_signed(self) -> None:
        self._checks.make("grant", ("root chain",), self._grant)
        self._check_role(MODELS)
        self._checks.make(AGREES, (f"{MODELS} signers",), self._under)

    def _check_beside(self) -> None:
        self._checks.make("scope", ("contents",), self._scope)

    def _grant(self) -> str:
        return f"root {self.chain.root.version} grants it to {charge(self.chain.root, MODELS).threshold // 2} persons"

    def _under(self) -> str:
        return self._signed.require_under(self.chain.root, self.chain.data)

    def _scope(self) -> str:
        kinds = {name: kind for name, (kind, _, _) in self.contents.release.artifacts.items()}
        foreign = sorted(name for name, kind in kinds.items() if kind != KIND)
        if foreign:
            raise NotGrantedError(
                f"{foreign[0]} is a {kinds[foreign[0]]}, and the grant is for models", "such things come with a release"
            )
        return f"{len(kinds)} models and nothing else"

    def _versions(self) -> str:
        if self._taken_before is None:
            return super()._versions()
        # The version is the number (``contents``); whether it may be below the floor, the number's own check says.
        return self._signed.check_versions({**self._trust.versions, MODELS: 0}, self.chain.reset)

    def _release_number(self) -> str:
        floor = 0 if MODELS in self.chain.reset else self._trust.versions.get(MODELS, 0)
        number = self.contents.release.info.number
        if self._trust.models_min <= number < floor and self._taken_before is not None:
            self.comes_again = self._taken_before(self.contents.release)
            if self.comes_again:
                return f"{number}, below the floor {floor}: this site took it in before"
        return self._not_below(floor, self._trust.models_digest)

    def _beside(self) -> Iterable[str]:
        return ()


def verify_models(
    bundle: Path, trust: TrustState, *, now: datetime, supply: Supply | None = None, progress: Progress | None = None
) -> Report:
    """Check a bundle of models; as ``verify.verify``, for that kind of bundle."""
    with open_bundle(bundle) as medium:
        run = ModelVerification(medium, trust, now, supply)
        run.check_metadata()
        run.check_blobs(hash_blob, progress)
        return run.report()


def import_models(  # noqa: PLR0913 - every argument is another thing of the site, none can be grouped
    bundle: Path,
    trust_dir: Path,
    store: Path,
    *,
    now: datetime,
    accept: Callable[[VerifiedRelease], None],
    taken_before: TakenBefore | None = None,
    progress: Progress | None = None,
) -> VerifiedRelease:
    """Verify a bundle of models, copy it into ``store``, and remember it in ``trust_dir``; as ``import_release``.

    ``accept`` is asked last, with every blob in its place, and refuses by raising: the store then holds what it held.
    ``taken_before`` says of a bundle below the floor whether the site took in this very one and lost it since; floors
    stay then.
    A site that trusts no root yet takes no models: the first import is that of a release. Raises
    ``TrustStateLostError`` there, and otherwise as ``import_release`` and ``accept``.
    """
    shelf = Store(store, SHELF)
    with Intake(store, SHELF) as intake, locked(trust_dir, intake), open_bundle(bundle) as medium:
        trust = TrustState.load(trust_dir)
        run = ModelVerification(medium, trust, now, StoreSupply(shelf), taken_before)
        run.check_metadata()
        run.raise_for_failure()
        _check_admissible(run, trust, shelf)
        intake.reserve(run.contents.blobs)
        run.check_blobs(intake.take, progress)
        run.raise_for_failure()
        record = record_of(run)
        for name in (INDEX_FILE, RELEASE_FILE):
            intake.put(run.raw[name])
        found = shelf.open_record(record)
        try:
            accept(found)
        except Exception:
            intake.undo()
            raise
        intake.record(record)
        learnt = _learnt(run, trust)
        if learnt != trust:
            learnt.save(trust_dir)
        intake.keep()
    return found


def withdrawn(found: VerifiedRelease | Record, trust: TrustState) -> str | None:
    """Why nothing of the bundle ``found`` may be chosen any more, or None."""
    if found.root_fingerprint not in trust.models_roots:
        return f"the root has given the right to bring models to others since {', '.join(found.signers)} brought it"
    if found.number < trust.models_min:
        return f"bundle number {found.number} is below {trust.models_min}, the lowest that may still be used"
    return None


def _check_admissible(run: ModelVerification, trust: TrustState, shelf: Store) -> None:
    info, digest = run.contents.release.info, sha256(run.raw[RELEASE_FILE])
    found, damaged = shelf.survey()
    if any(record.version == info.version and record.release != digest for record in found):
        raise ReleaseConflictError(f"this site holds another bundle of models with version {info.version}")
    if digest != trust.models_digest and any(record.version == info.version for record in damaged):
        raise ReleaseConflictError(
            f"the record of version {info.version} is damaged: whether this is the same bundle cannot be told",
            "restore the record from a backup, or have the bundle signed under another version",
        )
    verdict = run.report().freshness
    known = run.comes_again or digest == trust.models_digest
    if verdict is not None and isinstance(verdict.error, ExpiredError) and not known:
        verdict.error.report = run.report()
        raise verdict.error


def _learnt(run: ModelVerification, trust: TrustState) -> TrustState:
    on = on_root(trust, run)
    on = replace(on, models_roots=tuple(dict.fromkeys((*on.models_roots, fingerprint(run.chain.data)))))
    if run.comes_again:  # below the floors, which no reset touched; they stay
        return replace(on, versions={**on.versions, MODELS: trust.versions[MODELS]})
    return replace(
        on,
        models_digest=sha256(run.raw[RELEASE_FILE]),
        models_min=max(on.models_min, run.contents.release.info.min_release),
    )
