"""Equal inputs give equal bundles; what is not as locked is not built."""

from __future__ import annotations

import hashlib
import io
import json
from typing import TYPE_CHECKING, Any

import pytest

from airgap_bundle.archive import extract
from airgap_bundle.build.release import build_release
from airgap_bundle.build.stage import silent
from airgap_bundle.descriptor import OCI_LAYOUT
from airgap_bundle.errors import BuildError, LockError
from airgap_bundle.oci import read_contents

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.unit.build.synthetic_release import Synthetic


def build(synthetic: Synthetic, dest: Path) -> str:
    return build_release(synthetic.release, dest, cache=synthetic.cache, stage=silent).index


def add_project(value: dict[str, Any]) -> None:
    value["artifacts"][0]["project"] = "../project"


def manifest(bundle: Path, name: str) -> dict[str, Any]:
    for item in json.loads((bundle / "index.json").read_bytes())["manifests"]:
        if item["annotations"]["org.opencontainers.image.ref.name"] == name:
            return json.loads(blob(bundle, item["digest"]))
    raise AssertionError(name)


def blob(bundle: Path, digest: str) -> bytes:
    return (bundle / "blobs" / "sha256" / digest.removeprefix("sha256:")).read_bytes()


def layers(bundle: Path, name: str) -> dict[str, bytes]:
    return {
        item["annotations"]["org.opencontainers.image.title"]: blob(bundle, item["digest"])
        for item in manifest(bundle, name)["layers"]
    }


def test_equal_inputs_give_equal_bundles_in_different_folders(
    tmp_path: Path, make_release: Callable[[Path], Synthetic]
) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "another-and-longer").mkdir()
    first, second = make_release(tmp_path / "one"), make_release(tmp_path / "another-and-longer")
    for synthetic in (first, second):
        synthetic.edit(add_project)
    assert build(first, tmp_path / "a") == build(second, tmp_path / "b")
    names = {path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*")}
    assert names == {path.relative_to(tmp_path / "b") for path in (tmp_path / "b").rglob("*")}


def test_building_again_from_a_warm_cache_changes_nothing(synthetic: Synthetic, tmp_path: Path) -> None:
    first = build(synthetic, tmp_path / "bundle")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "bundle" / "blobs").rglob("*") if path.is_file()}
    assert build(synthetic, tmp_path / "bundle") == first
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_every_blob_has_its_name_as_digest_and_the_reader_accepts_the_layout(
    synthetic: Synthetic, tmp_path: Path
) -> None:
    build(synthetic, tmp_path / "bundle")
    for path in (tmp_path / "bundle" / "blobs" / "sha256").iterdir():
        assert hashlib.sha256(path.read_bytes()).hexdigest() == path.name
    assert (tmp_path / "bundle" / "oci-layout").read_bytes() == OCI_LAYOUT
    contents = read_contents(
        (tmp_path / "bundle" / "index.json").read_bytes(),
        (tmp_path / "bundle" / "release.json").read_bytes(),
        lambda descriptor: blob(tmp_path / "bundle", descriptor.digest),
    )
    assert {item.name: item.kind for item in contents.artifacts} == {
        "runtime": "wheelhouse",
        "keycloak": "keycloak",
        "tiny": "model",
        "policy": "policy",
    }
    listed = {digest.hex for digest in contents.blobs}
    assert listed == {path.name for path in (tmp_path / "bundle" / "blobs" / "sha256").iterdir()}


def test_the_wheelhouse_lists_exactly_its_wheels_by_hash(synthetic: Synthetic, tmp_path: Path) -> None:
    synthetic.edit(add_project)
    build(synthetic, tmp_path / "bundle")
    files = layers(tmp_path / "bundle", "runtime")
    listing = files.pop("requirements.txt").decode().splitlines()
    assert sorted(line.split(" --hash=sha256:")[1] for line in listing) == sorted(
        hashlib.sha256(data).hexdigest() for data in files.values()
    )
    assert [line.split(" ")[0] for line in listing] == ["alpha==1.0", "beta-two==2.1", "tiny-app==0.1.0"]


def test_the_keycloak_tar_has_no_top_folder_no_docs_and_executable_scripts(
    synthetic: Synthetic, tmp_path: Path
) -> None:
    build(synthetic, tmp_path / "bundle")
    tar = layers(tmp_path / "bundle", "keycloak")["keycloak.tar"]
    extract(io.BytesIO(tar), tmp_path / "keycloak")
    found = {str(path.relative_to(tmp_path / "keycloak")) for path in (tmp_path / "keycloak").rglob("*")}
    assert found == {"bin", "bin/kc.sh", "lib", "lib/server.jar", "version.txt"}
    assert (tmp_path / "keycloak" / "bin" / "kc.sh").stat().st_mode & 0o111
    assert not (tmp_path / "keycloak" / "version.txt").stat().st_mode & 0o111


def test_the_model_record_is_the_config_with_digests_filled_in(synthetic: Synthetic, tmp_path: Path) -> None:
    build(synthetic, tmp_path / "bundle")
    files = layers(tmp_path / "bundle", "tiny")
    config = json.loads(blob(tmp_path / "bundle", manifest(tmp_path / "bundle", "tiny")["config"]["digest"]))
    assert config["weights"]["sha256"] == hashlib.sha256(files["model.gguf"]).hexdigest()
    assert config["weights"]["size"] == len(files["model.gguf"])
    assert config["template"]["sha256"] == hashlib.sha256(files["template.jinja"]).hexdigest()
    assert set(files) == {"model.gguf", "template.jinja", "model-card.md", "LICENSE.txt"}


def test_a_publishers_signature_and_statements_travel_with_the_model(synthetic: Synthetic, tmp_path: Path) -> None:
    folder = synthetic.folder / "sources" / "models" / "tiny"
    record = json.loads((folder / "record.json").read_text())
    record |= {"signature": {"file": "model.sig"}, "attestations": ["step.intoto.json"]}
    (folder / "record.json").write_text(json.dumps(record))
    with pytest.raises(BuildError, match=r"model\.sig"):
        build(synthetic, tmp_path / "bundle")
    (folder / "model.sig").write_bytes(b"signature")
    (folder / "step.intoto.json").write_bytes(b"statement")
    build(synthetic, tmp_path / "bundle")
    files = layers(tmp_path / "bundle", "tiny")
    assert (files["model.sig"], files["step.intoto.json"]) == (b"signature", b"statement")
    model = json.loads(layers(tmp_path / "bundle", "tiny.sbom")["sbom.cdx.json"])["components"][0]
    assert {"name": "sovereign:model:signature.file", "value": "model.sig"} in model["modelCard"]["properties"]


def test_an_adapter_travels_without_a_template(synthetic: Synthetic, tmp_path: Path) -> None:
    path = synthetic.folder / "sources" / "models" / "tiny" / "record.json"
    record = json.loads(path.read_text())
    del record["template"]
    path.write_text(json.dumps({**record, "role": "lora", "base": {"name": "other", "sha256": "a" * 64}}))
    build(synthetic, tmp_path / "bundle")
    assert set(layers(tmp_path / "bundle", "tiny")) == {"model.gguf", "model-card.md", "LICENSE.txt"}


def test_weights_that_assemble_to_another_digest_are_refused(synthetic: Synthetic, tmp_path: Path) -> None:
    synthetic.edit(lambda value: value["artifacts"][2].update(sha256="0" * 64))
    with pytest.raises(BuildError, match="the parts assemble to"):
        build(synthetic, tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()


def test_every_artifact_has_an_sbom_that_names_it_as_subject(synthetic: Synthetic, tmp_path: Path) -> None:
    build(synthetic, tmp_path / "bundle")
    digests = {
        item["annotations"]["org.opencontainers.image.ref.name"]: item["digest"]
        for item in json.loads((tmp_path / "bundle" / "index.json").read_bytes())["manifests"]
    }
    for name in ("runtime", "keycloak", "tiny", "policy"):
        assert manifest(tmp_path / "bundle", f"{name}.sbom")["subject"]["digest"] == digests[name]
    merged = json.loads(layers(tmp_path / "bundle", "release.sbom")["sbom.cdx.json"])
    named = {item["name"] for item in merged["components"]}
    assert {"alpha", "beta-two", "keycloak", "tiny"} <= named
    alpha = next(item for item in merged["components"] if item["name"] == "alpha")
    assert [item["name"] for item in alpha["components"]] == ["engine"]
    assert merged["metadata"]["timestamp"].startswith("2026-01-01T00:00:00")


def test_a_signed_bundle_is_never_overwritten_with_other_content(synthetic: Synthetic, tmp_path: Path) -> None:
    build(synthetic, tmp_path / "bundle")
    (tmp_path / "bundle" / "metadata").mkdir()
    (tmp_path / "bundle" / "metadata" / "1.root.json").write_text("{}")
    build(synthetic, tmp_path / "bundle")
    (synthetic.folder / "policy.yaml").write_text("schema: 1\nother: true\n")
    before = (tmp_path / "bundle" / "index.json").read_bytes()
    with pytest.raises(BuildError, match="signatures over another content"):
        build(synthetic, tmp_path / "bundle")
    assert (tmp_path / "bundle" / "index.json").read_bytes() == before


def test_a_folder_that_is_no_bundle_is_not_touched(synthetic: Synthetic, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(BuildError, match="is no bundle folder"):
        build(synthetic, tmp_path / "mine")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.txt"]


def test_blobs_of_an_earlier_content_do_not_stay(synthetic: Synthetic, tmp_path: Path) -> None:
    build(synthetic, tmp_path / "bundle")
    (synthetic.folder / "policy.yaml").write_text("schema: 1\nother: true\n")
    build(synthetic, tmp_path / "bundle")
    build(synthetic, tmp_path / "fresh")
    assert sorted(path.name for path in (tmp_path / "bundle" / "blobs" / "sha256").iterdir()) == sorted(
        path.name for path in (tmp_path / "fresh" / "blobs" / "sha256").iterdir()
    )


def test_an_interrupted_layout_is_completed(synthetic: Synthetic, tmp_path: Path) -> None:
    whole = build(synthetic, tmp_path / "bundle")
    (tmp_path / "bundle" / "index.json").unlink()
    largest = max((tmp_path / "bundle" / "blobs" / "sha256").iterdir(), key=lambda path: path.stat().st_size)
    largest.rename(largest.with_suffix(".partial"))
    assert build(synthetic, tmp_path / "bundle") == whole
    assert not list((tmp_path / "bundle").rglob("*.partial"))


def test_a_release_that_is_not_the_locked_one_is_refused(synthetic: Synthetic, tmp_path: Path) -> None:
    synthetic.edit(lambda value: value.update(version="1.0.1"))
    with pytest.raises(LockError, match=r"release.lock is of tiny-release 1.0.0"):
        build(synthetic, tmp_path / "bundle")


def test_an_input_that_the_lock_lacks_is_named(synthetic: Synthetic, tmp_path: Path) -> None:
    synthetic.edit(lambda value: value["artifacts"][1].update(maven="org.example:keycloak-dist:9.9.9:zip"))
    with pytest.raises(LockError, match=r"no maven org\.example:keycloak-dist 9\.9\.9"):
        build(synthetic, tmp_path / "bundle")


def test_a_requirements_list_with_other_hashes_than_the_lock_is_refused(synthetic: Synthetic, tmp_path: Path) -> None:
    listing = synthetic.folder / "requirements.txt"
    text = listing.read_text()
    good = text.split("--hash=sha256:")[1][:64]
    listing.write_text(text.replace(good, "f" * 64))
    with pytest.raises(LockError, match="do not list the locked file") as caught:
        build(synthetic, tmp_path / "bundle")
    assert "--relock alpha" in str(caught.value.hint)
