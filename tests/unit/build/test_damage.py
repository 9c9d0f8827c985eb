"""What is damaged or not as described stops the build, is named, and leaves no bundle behind."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from airgap_bundle.build.cache import BuildCache
from airgap_bundle.build.release import build_release
from airgap_bundle.build.stage import silent
from airgap_bundle.errors import BuildError, LockError
from tests.unit.build.synthetic_release import keycloak_members, make_synthetic, write_zip

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.build.synthetic_release import Synthetic


@pytest.fixture
def own(tmp_path: Path) -> Synthetic:
    """A release with a cache of its own, to be damaged."""
    return make_synthetic(tmp_path)


def build(synthetic: Synthetic, dest: Path) -> str:
    return build_release(synthetic.release, dest, cache=synthetic.cache, stage=silent).index


def test_a_damaged_derived_file_never_reaches_a_bundle_and_is_derived_again(own: Synthetic, tmp_path: Path) -> None:
    good = build(own, tmp_path / "good")
    tar = max(own.cache.root.glob("inputs/sha256/*"), key=lambda path: path.stat().st_size)
    tar.chmod(0o644)
    data = bytearray(tar.read_bytes())
    data[len(data) // 2] ^= 1
    tar.write_bytes(data)
    with pytest.raises(BuildError, match="damaged and was removed"):
        build(own, tmp_path / "again")
    assert not (tmp_path / "again" / "index.json").exists()
    assert build(own, tmp_path / "again") == good


def test_a_keycloak_archive_with_two_top_folders_is_refused(own: Synthetic, tmp_path: Path) -> None:
    path = write_zip(tmp_path / "k.zip", {**keycloak_members(), "surprise/file": b"x"})
    replace_keycloak(own, path)
    with pytest.raises(BuildError, match="2 top folders"):
        build(own, tmp_path / "bundle")


def test_a_keycloak_archive_with_a_link_is_refused(own: Synthetic, tmp_path: Path) -> None:
    link = "keycloak-1.2.3/lib/link.jar"
    replace_keycloak(own, write_zip(tmp_path / "k.zip", {**keycloak_members(), link: b"/etc"}, {link: 0o120777}))
    with pytest.raises(BuildError, match="neither a regular file nor a directory"):
        build(own, tmp_path / "bundle")


def test_a_record_that_describes_another_model_is_refused(own: Synthetic, tmp_path: Path) -> None:
    change_record(own, name="another")
    with pytest.raises(LockError, match="describes 'another'"):
        build(own, tmp_path / "bundle")


def test_a_licence_text_that_the_record_names_must_be_there(own: Synthetic, tmp_path: Path) -> None:
    change_record(own, licence={"spdx": "MIT", "files": ["LICENSE.txt", "NOTICE"]})
    with pytest.raises(BuildError, match=r"lacks: \['NOTICE'\]"):
        build(own, tmp_path / "bundle")


def test_a_record_without_licence_is_refused(own: Synthetic, tmp_path: Path) -> None:
    change_record(own, licence={})
    with pytest.raises(LockError, match="not a model record"):
        build(own, tmp_path / "bundle")


def test_a_part_that_is_not_in_its_package_is_named(own: Synthetic, tmp_path: Path) -> None:
    own.edit(lambda value: value["artifacts"][2]["parts"][0].update(member="p1/elsewhere"))
    with pytest.raises(BuildError, match="has no file p1/elsewhere"):
        build(own, tmp_path / "bundle")


def test_a_policy_that_is_not_there_is_named(own: Synthetic, tmp_path: Path) -> None:
    (own.folder / "policy.yaml").unlink()
    with pytest.raises(BuildError, match=r"policy\.yaml"):
        build(own, tmp_path / "bundle")


def test_a_project_that_is_none_is_refused(own: Synthetic, tmp_path: Path) -> None:
    own.edit(lambda value: value["artifacts"][0].update(project="../sources"))
    with pytest.raises(BuildError, match="is no project"):
        build(own, tmp_path / "bundle")


def test_a_disk_that_fails_is_told_as_a_cause(own: Synthetic, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(BuildError, match="not a directory") as caught:
        build(own, tmp_path / "file" / "bundle")
    assert "run the command again" in str(caught.value.hint)


def change_record(synthetic: Synthetic, **change: object) -> None:
    path = synthetic.folder / "sources" / "models" / "tiny" / "record.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))


def replace_keycloak(synthetic: Synthetic, archive: Path) -> None:
    """Lock ``archive`` as the distribution."""
    kept = BuildCache(synthetic.cache.root).add_file(archive)
    path = synthetic.folder / "sources" / "release.lock"
    value = json.loads(path.read_text())
    for item in value["inputs"]:
        if item["kind"] == "maven":
            item |= {"sha256": kept.sha256, "size": kept.size}
    path.write_text(json.dumps(value))
