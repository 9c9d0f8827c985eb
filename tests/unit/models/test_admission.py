"""The gate at an installed site: a real bundle, imported into a real store, and the files that installation leaves."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from typer.testing import CliRunner

from airgap_bundle import strict_json
from airgap_bundle.descriptor import artifact_type
from airgap_bundle.digest import sha256
from airgap_bundle.keys import save
from airgap_bundle.provenance.manifest import Identity, of_files
from airgap_bundle.provenance.origin import sign_origin
from airgap_bundle.provenance.publisher_signature import sign_manifest
from appliance.cli.model import app
from appliance.errors import UsageError
from appliance.models import admission
from appliance.models.admission import admit_adapter, admit_model, examine_model, grounds
from appliance.models.errors import BaseError, FileDigestError, ModelRefusedError, PolicyError
from appliance.site.paths import SitePaths
from tests import bundles
from tests.unit.models.provenance_bench import write_policy
from tests.unit.models.small_release import NAME, POLICY, TEMPLATE, gguf, record, signer, waiver
from tests.unit.provenance.publisher_bench import key

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from airgap_bundle.descriptor import Descriptor

WEIGHTS = gguf()
MODEL = {"model.gguf": WEIGHTS, "chat_template.jinja": TEMPLATE.encode(), "GEMMA_TERMS.html": b"terms"}
SITE = """
schema: 1
name: trial
officers: [{name: officer, public_key: officer.pub}]
models: [{name: gemma3-270m}]
groups: [{name: analysts, models: [gemma3-270m]}]
"""


class _Draft(bundles.Draft):
    """A bundle whose model has a whole record, with ``more`` in it."""

    more: ClassVar[dict[str, Any]] = {}

    def _artifact(self, bundle: Path, name: str, kind: str, files: Mapping[str, bytes]) -> Descriptor:
        if kind != "model":
            return super()._artifact(bundle, name, kind, files)
        config = bundles.blob(
            bundle, strict_json.dumps(record(WEIGHTS) | self.more), "application/vnd.sovereign.model.config.v1+json"
        )
        layers = [
            bundles.blob(bundle, data, "application/octet-stream", {bundles.TITLE: title})
            for title, data in sorted(files.items())
        ]
        return bundles.manifest(bundle, name, artifact_type(kind), config, layers)


@pytest.fixture
def paths(tmp_path: Path) -> SitePaths:
    """An installed site with the demo's policy, officer and waiver."""
    return _install(tmp_path, _Draft)


def _install(tmp_path: Path, draft: type[_Draft], **further: bytes) -> SitePaths:
    files = {"policy": {"models.yaml": POLICY.read_bytes()}, NAME: MODEL | further}
    bundle = draft(files=files).write(tmp_path / "bundle")
    bundles.sign(bundle, "architect", "builder", "release")
    paths = SitePaths(tmp_path / "site")
    site = bundles.Site(paths.root)
    site.install(bundle, pin=bundles.root_bytes())
    paths.release("1.0.0").mkdir(parents=True)
    (paths.release("1.0.0") / "release.json").write_text(json.dumps({"version": "1.0.0", "number": 1}))
    paths.current.symlink_to(paths.release("1.0.0"))
    paths.site_yaml.write_text(SITE)
    for folder in ("officers", "waivers"):
        (paths.policies / folder).mkdir(parents=True)
    save(signer("officer"), paths.policies / "officers", b"passphrase", cost=2)
    (paths.policies / "models.yaml").write_bytes(POLICY.read_bytes())
    signed = waiver(sha256(WEIGHTS).hex, issued=datetime.now(UTC) - timedelta(hours=1))
    (paths.policies / "waivers" / "demo.json").write_bytes(signed)
    return paths


def _stored(paths: SitePaths) -> Path:
    return paths.store / "blobs" / "sha256" / sha256(WEIGHTS).hex


def test_an_installed_model_is_admitted_from_the_store(paths: SitePaths) -> None:
    model = admit_model(NAME, paths)
    model.close()
    assert model.receipt["signers"] == ["architect", "builder"]
    assert model.receipt["digest"] == sha256(WEIGHTS)
    assert model.verdict.ok


class _Signed(_Draft):
    """A bundle whose model brings its publisher's signature and a statement of its licence."""

    more: ClassVar[dict[str, Any]] = {"signature": {"file": "model.sig"}, "attestations": ["licence.intoto.json"]}


def test_a_signed_model_passes_from_the_medium_to_the_gate_without_a_waiver(tmp_path: Path) -> None:
    signature = sign_manifest(
        of_files(Identity(NAME, "1.0.0", "chat"), {title: sha256(data).hex for title, data in MODEL.items()}),
        key("architect"),
    )
    fields = {"spdx": "LicenseRef-Gemma-Terms"}
    statement = sign_origin("licence", {sha256(WEIGHTS).hex: "model.gguf"}, fields, signer("custodian"))
    paths = _install(tmp_path, _Signed, **{"model.sig": signature, "licence.intoto.json": statement})
    (paths.policies / "waivers" / "demo.json").unlink()
    wants = ["weights-signed", "publisher-signed", "licence-attested", "producer-verified", "conversion-closed"]
    asked = write_policy(tmp_path, require=wants).read_bytes()
    (paths.policies / "models.yaml").write_bytes(asked)
    model = admit_model(NAME, paths)
    model.close()
    assert model.verdict.waivers_used == ()
    assert {c.name: c.detail for c in model.verdict.checks}["publisher-signed"] == "signed by architect"


def test_a_part_of_another_model_is_not_served_by_itself(paths: SitePaths, monkeypatch: pytest.MonkeyPatch) -> None:
    found = grounds(paths)
    part = replace(found.release.artifacts[NAME], config={"role": "lora"})
    release = replace(found.release, artifacts={NAME: part})
    monkeypatch.setattr(admission, "grounds", lambda _: replace(found, release=release))
    with pytest.raises(ModelRefusedError, match="not served by itself"):
        admit_model(NAME, paths)


def _with_adapter(paths: SitePaths, monkeypatch: pytest.MonkeyPatch, base: str) -> None:
    """A release that also holds the adapter ``formal``, made for the weights ``base``."""
    found = grounds(paths)
    config = record(WEIGHTS) | {"name": "formal", "role": "lora", "base": {"name": NAME, "sha256": base}}
    del config["template"]
    part = replace(found.release.artifacts[NAME], name="formal", config=config)
    release = replace(found.release, artifacts={**found.release.artifacts, "formal": part})
    monkeypatch.setattr(admission, "grounds", lambda _: replace(found, release=release))


def test_an_adapter_goes_through_the_whole_gate(paths: SitePaths, monkeypatch: pytest.MonkeyPatch) -> None:
    """Right base, and the policy accepts chat models only: it is refused there, as any model would be."""
    _with_adapter(paths, monkeypatch, sha256(WEIGHTS).hex)
    with pytest.raises(ModelRefusedError, match="role-accepted"):
        admit_adapter("formal", NAME, paths)


def test_an_adapter_for_other_weights_than_those_that_serve_is_refused(
    paths: SitePaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    _with_adapter(paths, monkeypatch, "0" * 64)
    with pytest.raises(BaseError, match="made for other weights"):
        admit_adapter("formal", NAME, paths)


@pytest.mark.parametrize("name", [NAME, "missing"])
def test_what_is_no_adapter_of_the_release_is_refused(paths: SitePaths, name: str) -> None:
    with pytest.raises(ModelRefusedError, match="is no adapter of"):
        admit_adapter(name, NAME, paths)


def test_a_waiver_that_was_taken_away_is_missed_at_the_next_start(paths: SitePaths) -> None:
    (paths.policies / "waivers" / "demo.json").unlink()
    with pytest.raises(ModelRefusedError):
        admit_model(NAME, paths)


def test_an_officer_who_is_struck_from_site_yaml_has_no_say(paths: SitePaths) -> None:
    paths.site_yaml.write_text(SITE.replace("officers: [{name: officer, public_key: officer.pub}]\n", ""))
    assert not examine_model(NAME, grounds(paths)).ok


def test_an_officers_missing_key_is_named(paths: SitePaths) -> None:
    (paths.policies / "officers" / "officer.pub").unlink()
    with pytest.raises(PolicyError, match="officer"):
        grounds(paths)


def test_a_blob_that_was_changed_in_the_store_is_refused(paths: SitePaths) -> None:
    stored = _stored(paths)
    stored.chmod(0o644)
    data = bytearray(stored.read_bytes())
    data[-1] ^= 1
    stored.write_bytes(data)
    with pytest.raises(FileDigestError):
        admit_model(NAME, paths)


def test_without_an_active_release_there_is_nothing_to_admit(paths: SitePaths) -> None:
    paths.current.unlink()
    with pytest.raises(UsageError, match="no release is active"):
        admit_model(NAME, paths)


def test_the_command_shows_every_check_by_name(paths: SitePaths) -> None:
    done = CliRunner().invoke(app, ["verify", NAME, "--output", "json"], obj=paths.root)
    assert done.exit_code == 0, done.output
    shown = json.loads(done.stdout)
    assert (shown["ok"], shown["model"]) == (True, NAME)
    assert {"weights-signed", "weights-digest", "template-digest"} <= {c["name"] for c in shown["checks"]}
    assert shown["waivers"][0]["officer"] == "officer"


def test_the_command_refuses_with_the_table_still_shown(paths: SitePaths) -> None:
    (paths.policies / "waivers" / "demo.json").unlink()
    done = CliRunner().invoke(app, ["verify", NAME], obj=paths.root)
    assert getattr(done.exception, "exit_code", None) == 3
    assert "producer-verified" in done.stdout
    assert "fail" in done.stdout


def test_models_are_listed_and_inspected_from_their_signed_records(paths: SitePaths) -> None:
    listed = CliRunner().invoke(app, ["list", "--output", "json"], obj=paths.root)
    assert [row["name"] for row in json.loads(listed.stdout)] == [NAME]
    shown = CliRunner().invoke(app, ["inspect", NAME, "--output", "json"], obj=paths.root)
    found = json.loads(shown.stdout)
    assert found["record"]["licence"]["spdx"] == "LicenseRef-Gemma-Terms"
    assert found["files"]["model.gguf"]["digest"] == sha256(WEIGHTS)
    table = CliRunner().invoke(app, ["inspect", NAME], obj=paths.root)
    assert sha256(WEIGHTS).hex[:20] in table.stdout
