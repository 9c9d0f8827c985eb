from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import pytest

from airgap_bundle.digest import sha256
from appliance.models.errors import (
    ArtifactError,
    FileDigestError,
    GgufMismatchError,
    ModelRefusedError,
    PolicyError,
    RecordRollbackError,
    RecordSlotError,
    TemplateError,
)
from appliance.models.gate import open_verified
from tests.unit.models.small_release import NAME, NOW, POLICY, TEMPLATE, Site, gguf, record, text, waiver


def _open_descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_the_demo_model_passes_by_its_waiver_and_says_so(tmp_path: Path) -> None:
    site = Site(tmp_path)
    model = site.open()
    try:
        assert os.pread(model.fd_weights, len(site.weights), 0) == site.weights
        assert model.template == TEMPLATE
        assert model.record == site.config
        statuses = {check.name: check.status for check in model.verdict.checks}
        assert statuses == {
            "record-in-its-place": "pass",
            "signature-unbroken": "pass",
            "statements-unbroken": "pass",
            "weights-signed": "pass",
            "publisher-signed": "not required",
            "producer-accepted": "pass",
            "jurisdiction-accepted": "pass",
            "producer-verified": "waived",
            "licence-accepted": "pass",
            "licence-attested": "not required",
            "role-accepted": "pass",
            "architecture-accepted": "pass",
            "conversion-closed": "waived",
            "training-data-stated": "not required",
            "site-approved": "not required",
            "version-not-older": "pass",
            "licence-texts": "pass",
            "template-digest": "pass",
            "template-analysis": "pass",
            "weights-digest": "pass",
            "weights-header": "pass",
        }
    finally:
        model.close()


def test_the_receipt_is_that_of_the_contract(tmp_path: Path) -> None:
    site = Site(tmp_path)
    model = site.open()
    model.close()
    assert model.receipt == {
        "name": NAME,
        "version": "1.0.0",
        "digest": sha256(site.weights),
        "template_digest": sha256(site.template),
        "signers": ["architect", "builder"],
        "release": "1.0.0",
        "licence": "LicenseRef-Gemma-Terms",
        "producer": "Google",
        "jurisdiction": "US",
        "waivers": [
            {
                "waives": ["conversion-closed", "producer-verified"],
                "reason": "trial of the appliance, no personal data",
                "expires": "2026-08-29T12:00:00Z",
                "officer": "officer",
            }
        ],
    }


def test_without_its_waiver_the_demo_model_is_refused_with_every_reason(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.waivers = []
    with pytest.raises(ModelRefusedError, match=r"producer-verified .*conversion-closed") as refused:
        site.open()
    assert refused.value.verdict is not None
    assert [check.name for check in refused.value.verdict.failed] == ["producer-verified", "conversion-closed"]
    assert refused.value.exit_code == 3


def test_examining_names_every_finding_and_raises_for_none(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.waivers = []
    site.weights_file.write_bytes(bytes(len(site.weights)))
    verdict = site.examine()
    assert not verdict.ok
    assert {c.name: c.status for c in verdict.failed} == {
        "producer-verified": "fail",
        "conversion-closed": "fail",
        "weights-digest": "fail",
        "weights-header": "not established",
    }
    assert verdict.to_json()["ok"] is False


def test_refusing_leaves_no_descriptor_open(tmp_path: Path) -> None:
    site = Site(tmp_path, weights=gguf(pairs=()))
    before = _open_descriptors()
    for _ in range(3):
        with pytest.raises(Exception, match=r"general\.architecture"):
            site.open()
        site.examine()
    assert _open_descriptors() == before


def test_a_record_in_another_models_place_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordSlotError, match=r"gemma3-270m 1\.0\.0 lies in the place of mistral"):
        Site(tmp_path, slot="mistral").open()


def test_a_version_below_the_policys_floor_is_refused_though_it_is_signed(tmp_path: Path) -> None:
    site = Site(tmp_path, version="0.9.12")
    site.config["version"] = "0.9.12"
    with pytest.raises(RecordRollbackError, match=r"0\.9\.12 is older"):
        site.open()


def test_an_artifact_that_is_no_model_or_not_there_is_refused(tmp_path: Path) -> None:
    site = Site(tmp_path)
    for name in ("runtime", "missing"):
        with pytest.raises(ArtifactError, match=f"no model {name}"):
            open_verified(site.release(), name, policy_path=POLICY, waivers=(), officers=(), now=site.now)


@pytest.mark.parametrize("missing", ["GEMMA_TERMS.html", "chat_template.jinja", "model.gguf"])
def test_a_file_that_the_record_names_must_be_in_the_release(tmp_path: Path, missing: str) -> None:
    site = Site(tmp_path)
    site.titles = tuple(title for title in site.titles if title != missing)
    with pytest.raises(ArtifactError, match=missing):
        site.open()


def test_record_and_manifest_must_name_the_same_digest(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.config["template"]["sha256"] = "0" * 64
    with pytest.raises(FileDigestError, match="different digests"):
        site.open()


def test_a_header_that_contradicts_the_record_is_refused(tmp_path: Path) -> None:
    pairs = (
        (b"general.architecture", 8, text(b"llama")),
        (b"llama.context_length", 4, b"\x00\x08\x00\x00"),
    )
    with pytest.raises(GgufMismatchError, match="'llama' and the record says gemma3"):
        Site(tmp_path, weights=gguf(pairs=pairs)).open()


@pytest.mark.parametrize("hidden", ["\u202e", "\u200b", "\x07", "\x00", "\ue000"])
def test_a_template_with_invisible_characters_is_refused(tmp_path: Path, hidden: str) -> None:
    with pytest.raises(TemplateError, match="invisible character"):
        Site(tmp_path, template=f"User{hidden}: x".encode()).open()


def test_a_template_that_is_no_text_or_too_long_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TemplateError, match="UTF-8"):
        Site(tmp_path, template=b"\xff").open()
    with pytest.raises(TemplateError, match="larger"):
        Site(tmp_path, template=b"x" * 65_537).open()


def test_a_template_that_was_refused_is_not_said_to_be_harmless(tmp_path: Path) -> None:
    verdict = Site(tmp_path, template=b"\xff").examine()
    assert {c.name: c.status for c in verdict.failed} == {
        "template-digest": "fail",
        "template-analysis": "not established",
    }


def test_an_expired_waiver_is_not_blamed_for_what_no_waiver_could_cover(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.config["licence"]["spdx"] = "LicenseRef-Unknown"
    site.waivers = [waiver(sha256(site.weights).hex, issued=NOW - timedelta(days=100), days=10)]
    with pytest.raises(ModelRefusedError, match="licence-accepted"):
        site.open()


def test_the_waiver_of_another_model_is_nobodys_concern_here(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.config = record(site.weights)
    site.config["producer"]["name"] = "Somebody"
    site.waivers = [waiver("f" * 64, name="another")]
    with pytest.raises(ModelRefusedError, match="producer-accepted"):
        site.open()


def test_a_missing_policy_refuses_everything(tmp_path: Path) -> None:
    with pytest.raises(PolicyError):
        Site(tmp_path, policy=tmp_path / "none.yaml").open()
