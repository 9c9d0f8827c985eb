"""Figures that were counted before: equal to those counted anew, bound to the entries, and believed no further."""

from __future__ import annotations

import json
import os
import shutil
from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from appliance.audit import blocks, events, tally_cache
from appliance.audit.counting import count
from appliance.audit.entry import encode_entry
from appliance.audit.errors import LogTamperedError
from appliance.audit.keys import CheckpointKeys
from appliance.audit.tally import Figures, UsageReport
from appliance.audit.tally_cache import KEY, TallyCache, forget_own, open_cache, own_folder
from appliance.audit.usage import build_report
from appliance.errors import UsageError
from tests.audit.bench import Bench

if TYPE_CHECKING:
    from pathlib import Path

LEVEL = 1  # blocks of 256 entries: a log of a thousand has three
COUNT = 1000
START = datetime(2026, 11, 1, tzinfo=UTC)


def _records(count: int) -> list[tuple[str, bytes]]:
    made = []
    for number in range(count):
        at = START + timedelta(minutes=37 * number if number % 50 else 0)  # now and then a clock goes back
        who = {"subject": f"s{number % 17}", "groups": (f"g{number % 3}",), "model_digest": "d", "model_name": "demo"}
        kind = number % 5
        name = f"e{number}"
        event: dict[str, Any]
        if kind == 0:
            event = events.model_load(model_name=f"m{number}", model_digest="d", at=at)
        elif kind == 1:
            event = events.refusal(request_id=name, reason_code=f"r{number % 4}", status=429, at=at)
        elif kind == 2:
            event = events.sign_in(subject=f"s{number % 17}", success=number % 3 == 0, at=at)
        else:
            event = events.answer(
                request_id=name, **who, outcome="stop", prompt_tokens=number, completion_tokens=7,
                joules=0.1 * number, duration_ms=1.0, answer_commitment="c", at=at,
            )  # fmt: skip
        made.append((name, encode_entry(event, name)))
    return made


@pytest.fixture
def log(bench: Bench) -> Bench:
    bench.open().append(_records(COUNT))
    return bench


@pytest.fixture
def cache(tmp_path: Path) -> TallyCache:
    return open_cache(tmp_path / "cache")


def _report(bench: Bench, cache: TallyCache | None = None, **options: Any) -> UsageReport:
    return build_report(bench.directory, vkeys=bench.vkeys, known=cache, level=LEVEL, **options)


def _read_blocks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Which blocks are counted from here on."""
    counted: list[int] = []

    def counting(tiles: Any, number: int, level: int) -> Any:
        counted.append(number)
        return blocks.count_block(tiles, number, level)

    monkeypatch.setattr("appliance.audit.usage.count_block", counting)
    return counted


def _kept(cache: TallyCache) -> list[Path]:
    return sorted(path for path in cache.directory.iterdir() if path.name != KEY)


@pytest.mark.parametrize(
    "period", [{}, {"since": date(2026, 11, 5)}, {"since": date(2026, 11, 9), "until": date(2026, 11, 11)}]
)
def test_figures_of_the_cache_are_those_counted_anew(
    log: Bench, cache: TallyCache, period: dict[str, date], monkeypatch: pytest.MonkeyPatch
) -> None:
    anew = _report(log, **period)
    cold = _report(log, cache, **period)
    counted = _read_blocks(monkeypatch)
    warm = _report(log, cache, **period)
    assert counted == []
    assert anew.as_json() == cold.as_json() == warm.as_json()
    assert anew == cold == warm
    assert len(_kept(cache)) == 3


def test_parts_add_up_to_what_one_count_gives(log: Bench, cache: TallyCache) -> None:
    """Against a plain count over all entries, which knows no blocks; sums of floats may differ in their last digits."""
    days: dict[str, Figures] = defaultdict(Figures)
    for _, entry in _records(COUNT):
        count(days, entry)
    plain = UsageReport()
    for day, figures in days.items():
        plain.add_day(day, figures)
    _report(log, cache)
    found = _report(log, cache)
    mine, theirs = plain.as_json(), found.as_json()
    for name in (
        "total",
        "by_day",
        "by_group",
        "by_model",
        "by_purpose",
        "refusal_reasons",
        "outcomes",
        "kinds",
        "users",
        "top_users_by_model",
    ):
        assert mine[name] == theirs[name]
    assert len(found.model_loads) == 200


def test_only_what_is_new_is_read_when_the_log_has_grown(
    log: Bench, cache: TallyCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    _report(log, cache)
    log.close()
    log.fill(300, start=COUNT)
    counted = _read_blocks(monkeypatch)
    assert _report(log, cache).as_json() == _report(log).as_json()
    assert counted == [3, 4, 0, 1, 2, 3, 4]


def test_a_log_in_whose_place_another_was_put_is_not_reported_with_the_first_ones_figures(
    log: Bench, cache: TallyCache, tmp_path: Path
) -> None:
    _report(log, cache)
    other = Bench(tmp_path / "other", log.keys)
    other.fill(COUNT)
    assert _report(other, cache).as_json() == _report(other).as_json()
    assert _report(other).total != _report(log).total


def test_a_block_s_hash_that_the_checkpoint_does_not_cover_finds_no_figures(
    log: Bench, cache: TallyCache, tmp_path: Path
) -> None:
    """The tile of block roots is rewritten to name blocks of another log, which were counted before."""
    other = Bench(tmp_path / "other", log.keys)
    other.fill(COUNT)
    _report(other, cache)
    path = log.directory / "tile/1/000.p/3"
    path.write_bytes((other.directory / "tile/1/000.p/3").read_bytes())
    with pytest.raises(LogTamperedError):
        _report(log, cache)


def test_an_edited_entry_is_found_as_long_as_it_was_not_counted_before(log: Bench, cache: TallyCache) -> None:
    path = log.directory / "tile/entries/001"
    path.write_bytes(path.read_bytes().replace(b'"completion_tokens":7', b'"completion_tokens":9', 1))
    with pytest.raises(LogTamperedError, match="edited"):
        _report(log, cache)
    assert len(_kept(cache)) <= 1


def test_what_was_counted_before_stays_what_it_was_when_its_entries_are_edited(log: Bench, cache: TallyCache) -> None:
    """A report is about what was signed; that the entries on disk are no longer those is for verify to say."""
    before = _report(log, cache).as_json()
    path = log.directory / "tile/entries/001"
    path.write_bytes(path.read_bytes().replace(b'"completion_tokens":7', b'"completion_tokens":9', 1))
    assert _report(log, cache).as_json() == before
    with pytest.raises(LogTamperedError, match="edited"):
        log.verify()


def _flip(path: Path, _: TallyCache) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def _more(path: Path, _: TallyCache) -> None:
    data = path.read_bytes()
    path.write_bytes(data.replace(b"7", b"8"))


def _other_block(path: Path, cache: TallyCache) -> None:
    shutil.copyfile(next(one for one in _kept(cache) if one != path), path)


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
    right = _report(log, cache).as_json()
    DAMAGES[damage](_kept(cache)[0], cache)
    counted = _read_blocks(monkeypatch)
    assert _report(log, cache).as_json() == right
    assert len(counted) == 1


def test_figures_counted_by_other_rules_are_counted_anew(
    log: Bench, cache: TallyCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    _report(log, cache)
    names = [path.name for path in _kept(cache)]
    monkeypatch.setattr(tally_cache, "rules", lambda: b"other rules, of 32 bytes in all.")
    counted = _read_blocks(monkeypatch)
    _report(log, cache)
    assert counted == [0, 1, 2]
    for name in names:  # under the new name neither
        root = name.partition("-")[0]
        shutil.copyfile(cache.directory / name, next(cache.directory.glob(f"{root}-6f*")))
    counted.clear()
    _report(log, cache)
    assert counted == [0, 1, 2]


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
    _report(log, cache)
    key = cache.directory / KEY
    assert (key.stat().st_mode & 0o777, cache.directory.stat().st_mode & 0o777) == (0o600, 0o700)
    key.write_bytes(b"short")
    again = open_cache(cache.directory)
    assert again.key != cache.key
    assert all(again.get(bytes.fromhex(path.name.partition("-")[0])) is None for path in _kept(cache))


def test_a_disk_that_refuses_costs_time_and_no_report(log: Bench, tmp_path: Path) -> None:
    cache = TallyCache(tmp_path / "gone", b"k" * 32)
    assert _report(log, cache).as_json() == _report(log).as_json()


def test_blocks_that_are_counted_side_by_side_give_the_same(
    log: Bench, cache: TallyCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = _report(log).as_json()
    monkeypatch.setattr("appliance.audit.usage._WORTH_PROCESSES", 0)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    counted = _read_blocks(monkeypatch)
    assert _report(log, cache).as_json() == right
    assert counted == []  # all of them elsewhere
    assert len(_kept(cache)) == 3


def test_entries_of_the_journal_are_counted_too(bench: Bench, cache: TallyCache, tmp_path: Path) -> None:
    log = bench.open()
    records = _records(600)
    log.append(records[:400])
    log.enter(records[400:])
    copy = Bench(tmp_path / "copy", bench.keys)
    shutil.copytree(bench.directory, copy.directory)
    assert copy.verify().journaled == 200
    journaled = _report(copy, cache)
    log.settle()
    settled = _report(bench, cache)
    assert (journaled.size, journaled.total, journaled.root) == (600, settled.total, settled.root)


def test_a_log_of_strange_keys_has_no_report_whatever_the_cache_holds(log: Bench, cache: TallyCache) -> None:
    _report(log, cache)
    log.keys = CheckpointKeys.generate()
    with pytest.raises(Exception, match="no Ed25519"):
        _report(log, cache)


def test_plain_figures_come_back_as_they_were(log: Bench) -> None:
    days: dict[str, Figures] = defaultdict(Figures)
    for _, entry in _records(300):
        count(days, entry)
    assert log.directory.exists()
    for figures in days.values():
        assert Figures.of_plain(json.loads(json.dumps(figures.plain()))) == figures


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
