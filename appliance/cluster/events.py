"""What a run of Ansible tells, a JSON object a line, as values. Lines that are none are kept for the failure's text."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class TaskStarted:
    """A task begins on its hosts."""

    role: str
    name: str


@dataclass(frozen=True)
class Finding:
    """Something of a host that stands against an installation."""

    host: str
    check: str
    found: str
    hint: str


@dataclass(frozen=True)
class Note:
    """Something of a host that its administrator should know, and that stands against nothing."""

    host: str
    check: str
    found: str
    hint: str


@dataclass(frozen=True)
class Failure:
    """A task that failed on a host; ``passed``: the host did not answer, and the run goes on without it."""

    host: str
    role: str
    task: str
    cause: str
    hint: str
    passed: bool = False


@dataclass(frozen=True)
class Ended:
    """The run's end: how many tasks changed something, by host, and how often a host was asked or changed."""

    changed: dict[str, int]
    trips: int = 0


@dataclass(frozen=True)
class Reading:
    """What a host said about itself, as JSON data."""

    host: str
    value: dict[str, Any]


@dataclass(frozen=True)
class Said:
    """A line that is no event, such as a mistake in an inventory."""

    text: str


Event = TaskStarted | Finding | Note | Failure | Ended | Reading | Said
UNREACHABLE_HINT = "check that the host is on and that ssh enters it, then run the installation again"


class EventReader:
    """Turns lines into events; a failure is told with the task that was under way."""

    def __init__(self) -> None:
        self._task = TaskStarted("", "the beginning")

    def read(self, line: str) -> Event | None:
        """The event of one line; None for one that is of no interest here."""
        try:
            told = json.loads(line)
        except ValueError:
            told = None
        if not isinstance(told, dict) or "event" not in told:
            return Said(line.rstrip()) if line.strip() else None
        return self._event(told)

    def _event(self, told: dict[str, Any]) -> Event | None:  # noqa: PLR0911 - one for each event
        match told["event"]:
            case "task":
                self._task = TaskStarted(told["role"], told["name"])
                return self._task
            case "finding":
                return Finding(told["host"], told["check"], told["found"], told["hint"])
            case "note":
                return Note(told["host"], told["check"], told["found"], told["hint"])
            case "failed":
                return Failure(told["host"], self._task.role, self._task.name, told["cause"], told["hint"])
            case "unreachable":
                passed = bool(told.get("passed", False))
                return Failure(told["host"], self._task.role, self._task.name, told["cause"], UNREACHABLE_HINT, passed)
            case "end":
                changed = {host: int(counts["changed"]) for host, counts in told["hosts"].items()}
                return Ended(changed, int(told.get("trips", 0)))
            case "reading":
                return Reading(told["host"], told["value"])
        return None
