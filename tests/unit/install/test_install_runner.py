"""Steps: each at most once, in order, side by side, resumable after a kill at any moment."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from appliance.errors import DeploymentError
from appliance.install.journal import Journal, read_journal
from appliance.install.runner import Step, execute

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PROGRAM = Path(__file__).parent / "crashing_install.py"
REPOSITORY = Path(__file__).parents[3]
STEPS = ("folders", "files", "build", "keys", "serve")
OUTPUTS = {
    "folders": "folders",
    "files": "foldersfiles",
    "build": "foldersfilesbuild",
    "keys": "folderskeys",
    "serve": "foldersfilesbuildfolderskeysserve",
}


class Silent:
    """An observer that looks away."""

    def started(self, step: Step) -> None: ...
    def advanced(self, step: Step, done: int, total: int) -> None: ...
    def finished(self, step: Step, seconds: float) -> None: ...
    def skipped(self, step: Step) -> None: ...
    def failed(self, step: Step) -> None: ...


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    opened = Journal.open(tmp_path / "state" / "journal.jsonl")
    yield opened
    opened.close()


def step(name: str, run: Callable[[], None] = lambda: None, *, after: tuple[str, ...] = (), value: str = "1") -> Step:
    return Step(name=name, title=name, inputs=lambda: {"v": value}, run=lambda _: run(), after=after)


def install(root: Path, name: str, moment: str) -> int:
    argv = [sys.executable, str(PROGRAM), str(root), name, moment]
    return subprocess.run(argv, cwd=REPOSITORY, env={"PYTHONPATH": str(REPOSITORY)}, check=False).returncode


@pytest.mark.parametrize("moment", ["before", "middle", "after", "journaled"])
@pytest.mark.parametrize("name", STEPS)
def test_a_kill_at_any_moment_of_any_step_is_resumed_to_the_same_end(tmp_path: Path, name: str, moment: str) -> None:
    assert install(tmp_path, name, moment) == -signal.SIGKILL
    assert install(tmp_path, "none", "never") == 0
    assert {s: (tmp_path / s).read_text() for s in STEPS} == OUTPUTS
    before = (tmp_path / "journal.jsonl").read_bytes()
    assert install(tmp_path, "none", "never") == 0
    assert (tmp_path / "journal.jsonl").read_bytes() == before


def test_what_was_journaled_as_done_before_a_kill_does_not_run_again(tmp_path: Path) -> None:
    install(tmp_path, "serve", "before")
    install(tmp_path, "none", "never")
    runs = (tmp_path / "runs").read_text().split()
    assert sorted(runs) == sorted(STEPS)


def test_a_second_run_does_nothing(journal: Journal) -> None:
    steps = [step("a"), step("b", after=("a",))]
    assert execute(steps, journal, Silent()) == ("a", "b")
    assert execute(steps, journal, Silent()) == ()


def test_a_changed_input_runs_the_step_and_what_builds_on_it(journal: Journal) -> None:
    execute([step("a"), step("b", after=("a",)), step("c")], journal, Silent())
    assert execute([step("a", value="2"), step("b", after=("a",)), step("c")], journal, Silent()) == ("a", "b")


def test_a_lost_output_is_made_again(journal: Journal, tmp_path: Path) -> None:
    out = tmp_path / "out"
    steps = [Step(name="a", title="a", inputs=dict, run=lambda _: out.touch(), present=out.exists)]
    execute(steps, journal, Silent())
    out.unlink()
    assert execute(steps, journal, Silent()) == ("a",)


def test_going_first_is_not_being_built_upon(journal: Journal) -> None:
    later = Step(name="b", title="b", inputs=dict, run=lambda _: None, behind=("a",))
    execute([step("a"), later], journal, Silent())
    assert execute([step("a", value="2"), later], journal, Silent()) == ("a",)


def test_independent_steps_run_side_by_side(journal: Journal) -> None:
    meeting = threading.Barrier(2, timeout=30)

    def meet() -> None:
        meeting.wait()

    execute([step("a", meet), step("b", meet)], journal, Silent())
    assert not meeting.broken


def test_a_failure_is_journaled_and_nothing_after_it_starts(journal: Journal) -> None:
    def fail() -> None:
        raise DeploymentError("no")

    with pytest.raises(DeploymentError, match="no"):
        execute([step("a", fail), step("b", after=("a",))], journal, Silent())
    assert [(r.step, r.state) for r in journal.records] == [("a", "started"), ("a", "failed")]


def test_a_journal_that_cannot_take_a_failure_does_not_hide_its_cause(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.write
    room = [10]

    def full(descriptor: int, data: bytes) -> int:
        if not room:
            raise OSError(28, "No space left on device")
        return write(descriptor, data[: room.pop()])

    def fail() -> None:
        monkeypatch.setattr("appliance.install.journal.os.write", full)
        raise DeploymentError("the certificate cannot be made")

    with pytest.raises(DeploymentError, match="the certificate cannot be made") as caught:
        execute([step("a", fail)], journal, Silent())
    assert "No space left" in caught.value.__notes__[0]
    monkeypatch.undo()
    journal.append("b", "done", "")
    assert [(r.step, r.state) for r in read_journal(journal._path)] == [("a", "started"), ("b", "done")]


def test_what_runs_beside_a_failure_is_finished_and_kept(journal: Journal) -> None:
    failing = threading.Event()

    def fail() -> None:
        failing.set()
        raise DeploymentError("no")

    def wait() -> None:
        assert failing.wait(30)

    with pytest.raises(DeploymentError):
        execute([step("a", fail), step("b", wait)], journal, Silent())
    assert journal.done("b") is not None


def test_a_full_disk_is_a_cause_and_a_hint(journal: Journal) -> None:
    def full() -> None:
        raise OSError(28, "No space left on device", "/somewhere")

    with pytest.raises(DeploymentError, match="/somewhere: no space left on device") as caught:
        execute([step("a", full)], journal, Silent())
    assert caught.value.hint


def test_a_defect_is_not_turned_into_a_verdict(journal: Journal) -> None:
    def bug() -> None:
        raise KeyError("x")

    with pytest.raises(KeyError):
        execute([step("a", bug)], journal, Silent())


def test_steps_that_wait_for_each_other_are_a_defect(journal: Journal) -> None:
    with pytest.raises(ValueError, match="wait for each other"):
        execute([step("a", after=("b",)), step("b", after=("a",))], journal, Silent())
