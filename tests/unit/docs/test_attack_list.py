"""The list of attacks names tests that exist, and leaves no case out."""

from __future__ import annotations

import re
from pathlib import Path

ATTACKS = Path(__file__).parents[2] / "attacks"
LIST = (ATTACKS / "README.md").read_text()
ROW = re.compile(r"^\| ([0-9, to]+) \|[^|]*\|([^|]*)\|$", re.MULTILINE)
CASES = 42


def numbers(text: str) -> set[int]:
    """The cases that "27, 28" or "32 to 41" mean."""
    found: set[int] = set()
    for part in text.split(","):
        first, _, last = part.strip().partition(" to ")
        found |= set(range(int(first), int(last or first) + 1))
    return found


def test_every_case_has_a_row_with_tests_or_with_the_reason_why_not() -> None:
    rows = ROW.findall(LIST)
    assert set().union(*(numbers(cases) for cases, _ in rows)) == set(range(1, CASES + 1))
    assert all("::test_" in tests or tests.strip().startswith("none: ") for _, tests in rows)


def test_every_test_that_is_named_exists() -> None:
    named = re.findall(r"`([a-z_]+/test_[a-z_]+\.py)(?:::(test_\w+))?`", LIST)
    assert len(named) > CASES
    for path, test in named:
        assert f"def {test}" in (ATTACKS / path).read_text()


def test_every_file_of_attacks_is_named_or_its_folder_is() -> None:
    files = {path.relative_to(ATTACKS) for path in ATTACKS.rglob("test_*.py")}
    assert [str(path) for path in sorted(files) if f"`{path}" not in LIST and f"`{path.parent}`" not in LIST] == []
