"""Attacks 21 and 25: files that a carrier lays beside a signed model, an adapter or a projector for one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from airgap_bundle import strict_json
from airgap_bundle.digest import sha256
from airgap_bundle.errors import MixedMetadataError, UnlistedFileError
from airgap_bundle.store import Store
from appliance.models.errors import PublisherSignatureError
from tests.bundles import Draft, Site, blob, make, manifest, root_bytes, sign
from tests.unit.models.provenance_bench import publish, write_policy
from tests.unit.models.small_release import Site as ModelSite
from tests.vectors.cases.desk import sign_anyhow

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def site(tmp_path: Path) -> Site:
    (tmp_path / "site").mkdir()
    return Site(tmp_path / "site")


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return make(tmp_path / "bundle")


BESIDE = [
    ".git/config",
    ".github/workflows/run.yml",
    "__pycache__/x.pyc",
    "adapter_config.json",
    "mmproj.gguf",
    "blobs/sha256/adapter.gguf",
]


@pytest.mark.parametrize("path", BESIDE)
def test_21_an_unsigned_file_beside_a_model_is_refused_and_none_is_ignored(site: Site, bundle: Path, path: str) -> None:
    (bundle / path).parent.mkdir(parents=True, exist_ok=True)
    (bundle / path).write_bytes(b"unsigned")
    site.refuses(bundle, UnlistedFileError, pin=root_bytes())


@pytest.mark.parametrize("path", [".git", "tokenizer", "blobs/lora"])
def test_21_an_empty_folder_beside_a_model_is_refused(site: Site, bundle: Path, path: str) -> None:
    (bundle / path).mkdir()
    site.refuses(bundle, UnlistedFileError, pin=root_bytes())


def test_25_an_adapter_under_its_own_digest_is_still_nobodys(site: Site, bundle: Path) -> None:
    """A blob with a right name and right bytes is no part of a release that does not name it."""
    data = b"GGUF adapter"
    (bundle / "blobs/sha256" / sha256(data).hex).write_bytes(data)
    site.refuses(bundle, UnlistedFileError, pin=root_bytes())


def test_25_an_artifact_that_the_release_file_does_not_list_is_refused_though_its_index_is_signed(
    site: Site, tmp_path: Path
) -> None:
    """Signing itself refuses it, and so does a site."""
    draft = Draft().write(tmp_path / "draft")
    config = blob(draft, b"{}", "application/json")
    adapter = manifest(draft, "adapter", "application/vnd.sovereign.model.v1", config, [])
    index = (draft / "index.json").read_bytes()
    extended = index.replace(b'"manifests":[', b'"manifests":[' + strict_json.dumps(adapter.to_json()) + b",")
    (draft / "index.json").write_bytes(extended)
    with pytest.raises(MixedMetadataError):
        sign(draft, "architect")
    site.refuses(sign_anyhow(draft, number=1), MixedMetadataError, pin=root_bytes())


def test_25_a_file_laid_into_the_store_is_no_part_of_any_release(site: Site, bundle: Path) -> None:
    release = site.install(bundle, pin=root_bytes())
    data = b"GGUF adapter"
    (site.store / "blobs/sha256" / sha256(data).hex).write_bytes(data)
    again = Store(site.store).open_release(release.version)
    assert {file.digest for item in again.artifacts.values() for file in item.files.values()} == {
        file.digest for item in release.artifacts.values() for file in item.files.values()
    }


def test_21_a_template_is_not_left_out_of_the_publishers_signature_by_being_a_statement_too(tmp_path: Path) -> None:
    """Whoever builds a release writes the record; a statement by nobody known says nothing, and would serve."""
    policy = write_policy(tmp_path, require=["publisher-signed"], attested=[])
    site = ModelSite(tmp_path, policy=policy, waivers=[b"{}"])
    del site.config["template"]
    publish(site)
    envelope = {"keyid": "{{ messages[0].content }}", "sig": ""}
    both = json.dumps({"payload": "", "payloadType": "application/vnd.in-toto+json", "signatures": [envelope]}).encode()
    title = "chat.intoto.json"
    site.config["template"] = {"file": title, "sha256": sha256(both).hex}
    site.config["attestations"] = [title]
    site.titles = ("model.gguf", "GEMMA_TERMS.html")
    site.add(title, both)
    with pytest.raises(PublisherSignatureError, match=title):
        site.open()
