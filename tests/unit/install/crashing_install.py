"""Run as a program: a small installation that kills itself at a chosen moment. Arguments: folder, step, moment.

Moments: ``before`` (start journaled), ``middle`` (half the output written), ``after`` (output whole, not journaled),
``journaled`` (completion journaled), ``never``.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from appliance.install.journal import Journal
from appliance.install.runner import Step, execute

GRAPH = {"folders": (), "files": ("folders",), "build": ("files",), "keys": ("folders",), "serve": ("build", "keys")}


class Killer:
    def __init__(self, step: str, moment: str) -> None:
        self.step, self.moment = step, moment

    def at(self, step: str, moment: str) -> None:
        if (step, moment) == (self.step, self.moment):
            os.kill(os.getpid(), signal.SIGKILL)

    def started(self, step: Step) -> None:
        self.at(step.name, "before")

    def advanced(self, step: Step, done: int, total: int) -> None:
        pass

    def finished(self, step: Step, seconds: float) -> None:  # noqa: ARG002 - the observer's shape
        self.at(step.name, "journaled")

    def skipped(self, step: Step) -> None:
        pass

    def failed(self, step: Step) -> None:
        pass


def make_step(root: Path, name: str, after: tuple[str, ...], killer: Killer) -> Step:
    out = root / name

    def work(_: object) -> None:
        with (root / "runs").open("a") as runs:
            runs.write(f"{name}\n")
        out.write_text("half")
        killer.at(name, "middle")
        out.write_text("".join((root / a).read_text() for a in after) + name)
        killer.at(name, "after")

    return Step(name=name, title=name, inputs=lambda: {"v": "1"}, run=work, after=after, present=out.is_file)


def main(root: Path, step: str, moment: str) -> None:
    killer = Killer(step, moment)
    journal = Journal.open(root / "journal.jsonl")
    execute([make_step(root, n, a, killer) for n, a in GRAPH.items()], journal, killer)
    journal.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3])
