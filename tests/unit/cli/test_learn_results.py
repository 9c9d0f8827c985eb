"""A file of results is written by one run, line by line, and gone on with at a site that lives on."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from appliance.cli import learn_evaluate
from appliance.cli.learn_results import opened
from appliance.errors import UsageError
from appliance.learning.results import line, read_results, written
from tests.gateway.doubles import site as config
from tests.learning.seeded_results import items, results

if TYPE_CHECKING:
    from pathlib import Path


def test_a_line_is_in_the_file_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, write, room = tmp_path / "out", os.write, [40]

    def short(descriptor: int, raw: bytes) -> int:
        if not room[0]:
            raise OSError(28, "No space left on device")
        done = write(descriptor, bytes(raw[: room[0]]))
        room[0] -= done
        return done

    found = results(items(30), 5)
    with opened(out, found.run) as file:
        file.keep(found.rows[0])
        monkeypatch.setattr(os, "write", short)
        with pytest.raises(UsageError, match="no space left"):
            file.keep(found.rows[1])
        room[0] = 10_000
        file.keep(found.rows[2])
        assert file.rows == [found.rows[0], found.rows[2]]
    assert out.read_bytes() == written(found.run, [found.rows[0], found.rows[2]])


def test_a_file_of_results_is_gone_on_with_only_by_the_same_run(tmp_path: Path) -> None:
    found = results(items(30), 5)
    out = tmp_path / "out"
    with opened(out, found.run) as file:
        assert file.rows == []
        file.keep(found.rows[0])
    with out.open("ab") as crashed:
        crashed.write(line(found.rows[1])[:-9])  # a crash in the middle of a line
    with opened(out, found.run) as file:
        assert file.rows == [found.rows[0]]
        file.keep(found.rows[1])
        with pytest.raises(UsageError, match="being written by another run"), opened(out, found.run):
            pass
    before = written(found.run, found.rows[:2])
    assert out.read_bytes() == before
    for changes in ({"seed": 99}, {"groups": ("clerks",)}, {"model": "large"}, {"max_tokens": 9}):
        with pytest.raises(UsageError, match="of another run"), opened(out, found.run.model_copy(update=changes)):
            pass
    assert out.read_bytes() == before
    foreign = tmp_path / "foreign"
    foreign.write_text("a letter")
    with pytest.raises(UsageError, match="no file of results"), opened(foreign, found.run):
        pass
    assert foreign.read_text() == "a letter"


def test_a_run_goes_on_at_a_site_that_lives_on_and_notes_what_was_withdrawn(tmp_path: Path) -> None:
    """After the first day a case was retired and one was made; the run asks what it drew and is still there."""
    found = results(items(30), 5)
    out = tmp_path / "out"
    with opened(out, found.run) as file:
        for row in found.rows[:10]:
            file.keep(row)
    drawn = [one for one in found.run.drawn if one != found.rows[20].drawn]
    later = found.run.model_copy(update={"drawn": (*drawn, "new 1 clerks"), "cases": "sha256:" + "0" * 64}, deep=True)
    with opened(out, later) as file:
        assert file.run == found.run
        now = [one for one in later.drawn if one in file.left]
        assert set(now) == {row.drawn for row in found.rows[10:] if row != found.rows[20]}
        for row in found.rows[10:]:
            if row.drawn in now:
                file.keep(row)
        learn_evaluate.withdraw(file)
    read = read_results(out.read_bytes(), "out")
    assert read.whole
    assert read.withdrawn == (found.rows[20].drawn,)
    nothing = later.model_copy(update={"drawn": ()})
    with opened(out, nothing) as file:  # all of it is gone from the site, and the file stays what it was
        assert file.left == set()
    with pytest.raises(UsageError, match="no active case"), opened(tmp_path / "other", nothing):
        pass
    assert not (tmp_path / "other").exists()


def test_a_run_that_is_not_told_otherwise_leaves_people_most_of_their_day() -> None:
    groups = [{"name": "clerks"}, {"name": "guards", "per_group": {"tokens_per_day": 4_000}}]
    assert learn_evaluate.share(config(groups=groups), ("clerks", "guards")) == 1_000
    assert learn_evaluate.share(config(groups=groups), ("clerks",)) == 500_000
