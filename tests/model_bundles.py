"""Small bundles of models, under a root that grants them to custodian and deputy, both of them."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest

from airgap_bundle import ceremony, metadata
from airgap_bundle.metadata import MODELS, parse_root
from airgap_bundle.model_bundle import import_models
from airgap_bundle.sign import sign_root
from airgap_bundle.sign_models import sign_models
from airgap_bundle.signing.root_plan import Circle, RootPlan, build, by_name
from tests import bundles
from tests.bundles import NOW, people, root_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from airgap_bundle.errors import BundleError
    from airgap_bundle.store import VerifiedRelease

OFFICERS = ("custodian", "deputy")
FILES = {"tiny-model": {"model.gguf": b"GGUF" + bytes(2000), "chat_template.jinja": b"{{ another }}"}}


def granting(version: int = 2, names: Sequence[str] = OFFICERS, threshold: int = 2) -> bytes:
    """A root after root 1 whose only change is that ``threshold`` of ``names`` may bring models."""
    plan = RootPlan.of(parse_root(root_bytes()).signed)
    circle = Circle(by_name(person.public for person in people(*names)), threshold)
    changed = replace(plan, circles={**plan.circles, MODELS: circle})
    return sign_root(build(changed, version, now=NOW), people("architect", "builder"))


@cache
def granting_root() -> bytes:
    """Root 2: custodian and deputy may bring models."""
    return granting()


def roots() -> dict[int, bytes]:
    return {1: root_bytes(), 2: granting_root()}


@cache
def back_again() -> dict[int, bytes]:
    """Roots 3 and 4: models are given to outsider and stranger, and then back to the officers."""
    return {3: granting(3, ("outsider", "stranger")), 4: granting(4)}


def sign(bundle: Path, *names: str, chain: Mapping[int, bytes] | None = None, now: datetime = NOW) -> Path:
    for name in names:
        sign_models(bundle, bundles.signer(name), now=now, roots=chain or roots())
    return bundle


def make(bundle: Path, *, chain: Mapping[int, bytes] | None = None, **changes: Any) -> Path:
    """A bundle of models that both officers signed."""
    draft = bundles.Draft(**{"version": "1.0.1", "files": FILES, **changes})
    return sign(draft.write(bundle), *OFFICERS, chain=chain)


def forge(bundle: Path, *names: str) -> Path:
    """``models.json`` for whatever lies in ``bundle``, by ``names``: what the holders of those keys could write."""
    index, release = ((bundle / name).read_bytes() for name in ("index.json", "release.json"))
    described = bundles.Release(bundles.ReleaseInfo("sovereign", "any", 1, 1), bundles.SUPPORT_UNTIL, {}, None)
    made = ceremony.build_models(index, release, described, (2, granting_root()), now=NOW)
    for name in names:
        ceremony.add_signatures(made, bundles.signer(name))
    (bundle / "metadata").mkdir(exist_ok=True)
    for version, data in roots().items():
        (bundle / f"metadata/{version}.root.json").write_bytes(data)
    (bundle / f"metadata/{metadata.MODELS}.json").write_bytes(made.to_bytes())
    return bundle


class Site(bundles.Site):
    """A site that runs release 1 and takes models."""

    def take(self, bundle: Path, *, now: datetime = NOW, accept: Any = lambda _found: None) -> VerifiedRelease:
        return import_models(bundle, self.trust, self.store, now=now, accept=accept)

    def refuses_models(self, bundle: Path, error: type[BundleError], match: str | None = None, **more: Any) -> None:
        """That the bundle of models is refused with exactly this class, and no byte changed."""
        with self.unchanged(), pytest.raises(error, match=match) as caught:
            self.take(bundle, **more)
        assert type(caught.value) is error, caught.value
