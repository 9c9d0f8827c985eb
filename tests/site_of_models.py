"""A site on one host as an installation leaves it, as far as its models go; with engines that only pass the gate."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

from airgap_bundle import strict_json
from airgap_bundle.descriptor import artifact_type
from airgap_bundle.digest import sha256
from airgap_bundle.keys import save
from appliance.errors import DeploymentError, SovereignError
from appliance.install.accounts import accounts_for
from appliance.install.journal import Journal
from appliance.models.admission import admit_model
from appliance.site.load import load_site
from appliance.site.paths import SitePaths
from tests import bundles, model_bundles
from tests.unit.models.small_release import NAME, POLICY, TEMPLATE, gguf, record, signer, waiver

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from airgap_bundle.descriptor import Descriptor

OLD = gguf()
NEW = gguf(data=bytes(range(64)))
SITE = f"""
schema: 1
name: trial
officers: [{{name: officer, public_key: officer.pub}}]
models: [{{name: {NAME}}}]
groups: [{{name: analysts, models: [{NAME}]}}]
"""


def files(weights: bytes, template: str = TEMPLATE) -> dict[str, bytes]:
    return {"model.gguf": weights, "chat_template.jinja": template.encode(), "GEMMA_TERMS.html": b"terms"}


@dataclass
class Draft(bundles.Draft):
    """A bundle whose models have whole records; ``records`` changes them."""

    records: Mapping[str, Any] = field(default_factory=dict)

    def _artifact(self, bundle: Path, name: str, kind: str, files: Mapping[str, bytes]) -> Descriptor:
        if kind != "model":
            return super()._artifact(bundle, name, kind, files)
        said = record(files["model.gguf"], files["chat_template.jinja"]) | {"name": name, "version": self.version}
        config = bundles.blob(
            bundle, strict_json.dumps(said | dict(self.records)), "application/vnd.sovereign.model.config.v1+json"
        )
        layers = [
            bundles.blob(bundle, data, "application/octet-stream", {bundles.TITLE: title})
            for title, data in sorted(files.items())
        ]
        return bundles.manifest(bundle, name, artifact_type(kind), config, layers)


def soon() -> datetime:
    """A clock that the commands, which ask the host's, agree with."""
    return datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)


def make(  # noqa: PLR0913 - what a bundle of models consists of
    bundle: Path,
    weights: bytes = NEW,
    *,
    slot: str = NAME,
    version: str = "1.1.0",
    number: int = 1,
    min_release: int = 1,
    template: str = TEMPLATE,
    signers: tuple[str, ...] = model_bundles.OFFICERS,
    chain: Mapping[int, bytes] | None = None,
    **records: Any,
) -> Path:
    """A bundle with another model for the name that the site serves, or in another ``slot``."""
    draft = Draft(
        version=version,
        number=number,
        min_release=min_release,
        files={slot: files(weights, template)},
        records=records,
        support_until=soon() + timedelta(days=90),
    )
    return model_bundles.sign(draft.write(bundle), *signers, chain=chain, now=soon())


def activate(paths: SitePaths, work: Path, weights: bytes, version: str = "1.0.0", number: int = 1) -> None:
    """Release ``version`` with ``weights`` comes in and is the active one, as an installation leaves it."""
    draft = Draft(
        version=version,
        number=number,
        files={"policy": {"models.yaml": POLICY.read_bytes()}, NAME: files(weights)},
        support_until=soon() + timedelta(days=90),
    )
    roots = model_bundles.roots() if number > 1 else None
    bundle = bundles.sign(draft.write(work), "architect", "builder", "release", roots=roots, now=soon())
    pin = bundles.root_bytes() if number == 1 else None
    bundles.Site(paths.root).install(bundle, pin=pin, now=datetime.now(UTC))
    paths.release(version).mkdir(parents=True)
    (paths.release(version) / "release.json").write_text(json.dumps({"version": version, "number": number}))
    paths.current.unlink(missing_ok=True)
    paths.current.symlink_to(paths.release(version).relative_to(paths.root))
    journal = Journal.open(paths.journal)
    journal.append("activate", "done", "", {"release": version, "by": "root"})
    journal.close()


def install(root: Path, work: Path) -> SitePaths:
    """A site that serves ``OLD`` from its release, with a waiver for each of both models."""
    paths = SitePaths(root)
    activate(paths, work / "release", OLD)
    paths.site_yaml.write_text(SITE)
    for folder in (paths.policies / "officers", paths.policies / "waivers", paths.serving(NAME).parent):
        folder.mkdir(parents=True)
    save(signer("officer"), paths.policies / "officers", b"passphrase", cost=2)
    (paths.policies / "models.yaml").write_bytes(POLICY.read_bytes())
    for index, weights in enumerate((OLD, NEW)):
        signed = waiver(sha256(weights).hex, issued=soon())
        (paths.policies / "waivers" / f"{index}.json").write_bytes(signed)
    paths.users.write_text(json.dumps(dict(accounts_for(load_site(paths.site_yaml)).users)))
    return paths


@cache
def digest_of(weights: bytes) -> str:
    return str(sha256(weights))


@dataclass
class GatedEngines:
    """``appliance.install.engines.Engines``: an engine is what the gate admits when it starts, kept in this object."""

    paths: SitePaths
    unfit: tuple[str, ...] = ()  # digests of weights that no engine can load
    loaded: dict[str, dict[str, Any]] = field(default_factory=dict)
    starts: list[str] = field(default_factory=list)
    standby: GatedEngines | None = None
    lacking: str | None = None
    diverted: list[str] = field(default_factory=list)
    answering_still: int = 0  # how often somebody is found to wait for an answer

    def serves(self, model: str) -> Mapping[str, Any] | None:
        return self.loaded.get(model)

    def busy(self, model: str) -> bool:
        self.answering_still -= model in self.loaded and self.answering_still > 0
        return self.answering_still > 0

    def runs(self, model: str) -> bool:
        return model in self.loaded

    def stop(self, model: str) -> None:
        self.loaded.pop(model, None)

    def lacks(self, model: str) -> str | None:
        del model
        return self.lacking if self.standby is not None else "there is one engine"

    def divert(self, model: str) -> None:
        assert self.standby is not None
        assert self.standby.runs(model), "nobody is asked who is not there"
        self.diverted = [model]  # a file: there, or not

    def restore(self, model: str) -> None:
        if model in self.diverted:
            self.diverted.remove(model)

    def remember(self, file: Path) -> None:
        """Write down which engines run, and what they have loaded."""
        beside = self.standby.loaded if self.standby is not None else None
        file.write_text(json.dumps([self.loaded, beside, self.diverted]))

    @classmethod
    def recalled(cls, paths: SitePaths, file: Path) -> GatedEngines:
        """The engines as they were written down."""
        loaded, beside, diverted = json.loads(file.read_text())
        standby = cls(paths, loaded=beside) if beside is not None else None
        return cls(paths, loaded=loaded, standby=standby, diverted=diverted)

    @property
    def answering(self) -> Mapping[str, Any]:
        """What the gateway's requests are answered by now, by model."""
        asked = self.standby if self.standby is not None and self.diverted else self
        return asked.loaded

    def start(self, model: str) -> None:
        try:
            admitted = admit_model(model, self.paths)
        except SovereignError as error:
            raise DeploymentError(f"engine-{model} does not start: {error.cause}") from error
        admitted.close()
        self.starts.append(admitted.receipt["digest"])
        if admitted.receipt["digest"] in self.unfit:
            raise DeploymentError(f"engine-{model} does not start: out of memory")
        self.loaded[model] = admitted.receipt
