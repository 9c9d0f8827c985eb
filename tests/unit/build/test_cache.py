"""The cache is right or empty: by digest, by rename, and hashed before it is believed."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

import pytest

from airgap_bundle.build.cache import BuildCache, derivation_key
from airgap_bundle.errors import BuildError

if TYPE_CHECKING:
    from pathlib import Path

DATA = b"some bytes"
HEX = hashlib.sha256(DATA).hexdigest()


def test_what_is_kept_is_found_by_its_digest(tmp_path: Path) -> None:
    cache = BuildCache(tmp_path)
    kept = cache.add_bytes(DATA)
    assert (kept.sha256, kept.size) == (HEX, len(DATA))
    assert cache.verified(HEX, len(DATA)) == kept
    assert kept.path.read_bytes() == DATA


def test_a_damaged_entry_is_removed_and_counts_as_absent(tmp_path: Path) -> None:
    cache = BuildCache(tmp_path)
    kept = cache.add_bytes(DATA)
    kept.path.chmod(0o644)
    kept.path.write_bytes(b"some bytez")
    assert cache.verified(HEX, len(DATA)) is None
    assert not kept.path.exists()


def interrupted(cache: BuildCache) -> None:
    with cache.writer() as partial:
        partial.stream.write(DATA[:4])
        raise KeyboardInterrupt


def test_an_interrupted_write_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        interrupted(BuildCache(tmp_path))
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_short_write_is_not_kept(tmp_path: Path) -> None:
    cache = BuildCache(tmp_path)
    with cache.writer() as partial:
        partial.stream.write(DATA[:4])
        with pytest.raises(BuildError, match="lost bytes"):
            partial.keep(HEX, len(DATA))
    assert cache.verified(HEX, len(DATA)) is None


def test_a_derivation_is_remembered_with_its_files_and_facts(tmp_path: Path) -> None:
    cache = BuildCache(tmp_path)
    key = derivation_key("test", source=HEX)
    assert cache.derived(key) is None
    kept = cache.add_bytes(DATA)
    cache.remember(key, {"file": kept}, {"lines": 1})
    found = cache.derived(key)
    assert found is not None
    assert found.files == {"file": kept}
    assert found.facts == {"lines": 1}


def test_a_derivation_whose_file_is_gone_is_derived_again(tmp_path: Path) -> None:
    cache = BuildCache(tmp_path)
    kept = cache.add_bytes(DATA)
    cache.remember("k" * 64, {"file": kept}, {})
    cache.forget(kept.sha256)
    assert cache.derived("k" * 64) is None


def test_the_key_changes_with_every_input() -> None:
    keys = {derivation_key("a", x=1), derivation_key("b", x=1), derivation_key("a", x=2), derivation_key("a", y=1)}
    assert len(keys) == 4


def test_the_environment_moves_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOVEREIGN_CACHE", str(tmp_path / "elsewhere"))
    assert BuildCache.default().root == tmp_path / "elsewhere"
    monkeypatch.delenv("SOVEREIGN_CACHE")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert BuildCache.default().root == tmp_path / ".cache" / "sovereign"


def test_scratch_of_a_dead_process_is_removed_and_that_of_a_live_one_stays(tmp_path: Path) -> None:
    cache = BuildCache(tmp_path)
    dead = tmp_path / "work-dead"
    (dead / "objects").mkdir(parents=True)
    with cache.workspace() as live:
        for folder in (dead, live):
            os.utime(folder, (0, 0))
        with cache.workspace():
            assert live.is_dir()
            assert not dead.exists()
    assert not live.exists()
