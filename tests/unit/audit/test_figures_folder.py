"""The folder of figures is its reader's alone: what was damaged in it, or put there, is believed by nobody."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from appliance.audit import blocks, counting, tally, tally_cache, tallying
from appliance.audit.tally import Figures
from appliance.audit.tally_cache import KEY, TallyCache, forget_own, open_cache, own_folder
from appliance.errors import UsageError
from tests.audit.counted import kept, read_blocks, report

if TYPE_CHECKING:
    from types import ModuleType

    from tests.audit.bench import Bench


def _flip(path: Path, _: TallyCache) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def _more(path: Path, _: TallyCache) -> None:
    data = path.read_bytes()
    path.write_bytes(data.replace(b"7", b"8"))


def _other_block(path: Path, cache: TallyCache) -> None:
    shutil.copyfile(next(one for one in kept(cache) if one != path), path)


def _of_a_stranger(path: Path, cache: TallyCache) -> None:
    root = bytes.fromhex(path.name.partition("-")[0])
    folder = cache.directory.with_name("stranger")
    stranger = open_cache(folder)
    stranger.put(root, {"2026-11-01": Figures()})
    shutil.copyfile(folder / path.name, path)


DAMAGES = {
    "a flipped bit": _flip,
    "other figures": _more,
    "empty": lambda path, _: path.write_bytes(b"") and None,
    "cut": lambda path, _: path.write_bytes(path.read_bytes()[:-1]) and None,
    "another block's": _other_block,
    "a stranger's cache": _of_a_stranger,
    "a fifo": lambda path, _: path.unlink() or os.mkfifo(path),
    "a folder": lambda path, _: path.unlink() or path.mkdir(),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_figures_that_were_damaged_or_brought_from_elsewhere_are_counted_anew(
    log: Bench, cache: TallyCache, damage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = report(log, cache).as_json()
    DAMAGES[damage](kept(cache)[0], cache)
    counted = read_blocks(monkeypatch)
    assert report(log, cache).as_json() == right
    assert len(counted) == 1


def test_figures_counted_by_other_rules_are_counted_anew_and_the_former_ones_go(
    log: Bench, cache: TallyCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    report(log, cache)
    former = {path.name: path.read_bytes() for path in kept(cache)}
    monkeypatch.setattr(tally_cache, "rules", lambda: b"other rules, of 32 bytes in all.")
    counted = read_blocks(monkeypatch)
    report(log, cache)
    assert counted == [0, 1, 2]
    now = kept(cache)
    assert len(now) == 3
    assert not {path.name for path in now} & set(former)
    for name, data in former.items():  # under the new name neither
        next(cache.directory.glob(f"{name.partition('-')[0]}-6f*")).write_bytes(data)
    counted.clear()
    report(log, cache)
    assert counted == [0, 1, 2]


@pytest.mark.parametrize("module", [blocks, counting, tallying, tally])
def test_whatever_decides_how_entries_are_counted_is_among_the_rules(
    module: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rules = tally_cache.rules.__wrapped__
    before = rules()
    assert before == rules() == tally_cache.rules()
    other = tmp_path / "other.py"
    other.write_bytes(Path(str(module.__file__)).read_bytes() + b"#\n")
    monkeypatch.setattr(module, "__file__", str(other))
    assert rules() != before


def test_a_folder_that_others_may_write_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    folder.mkdir()
    for mode in (0o777, 0o770, 0o702):
        folder.chmod(mode)
        with pytest.raises(UsageError, match="not yours alone"):
            open_cache(folder)
        assert list(folder.iterdir()) == []
    link = tmp_path / "link"
    folder.chmod(0o700)
    link.symlink_to(folder)
    with pytest.raises(UsageError, match="not yours alone"):
        open_cache(link)


def test_the_folder_s_key_is_private_and_another_one_believes_nothing(log: Bench, cache: TallyCache) -> None:
    report(log, cache)
    key = cache.directory / KEY
    assert (key.stat().st_mode & 0o777, cache.directory.stat().st_mode & 0o777) == (0o600, 0o700)
    key.write_bytes(b"short")
    again = open_cache(cache.directory)
    assert again.key != cache.key
    assert all(again.get(bytes.fromhex(path.name.partition("-")[0])) is None for path in kept(cache))


def test_a_disk_that_refuses_costs_time_and_no_report(log: Bench, tmp_path: Path) -> None:
    cache = TallyCache(tmp_path / "gone", b"k" * 32)
    assert report(log, cache).as_json() == report(log).as_json()


def test_forgetting_removes_the_callers_own_figures_and_nothing_beside_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    open_cache(own_folder())
    (tmp_path / "sovereign" / "inputs").mkdir()
    forget_own()
    assert [path.name for path in (tmp_path / "sovereign").iterdir()] == ["inputs"]
    (tmp_path / "sovereign" / "inputs").rmdir()
    open_cache(own_folder())
    forget_own()
    assert not (tmp_path / "sovereign").exists()
    forget_own()


def test_a_link_in_the_place_of_the_figures_is_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (tmp_path / "precious").mkdir()
    (tmp_path / "sovereign").mkdir()
    own_folder().symlink_to(tmp_path / "precious")
    forget_own()
    assert (tmp_path / "precious").is_dir()
