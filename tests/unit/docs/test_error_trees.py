"""The trees in the docstrings of ``errors.py`` hold every error that is raised across modules, each under its base."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SOURCES = [path for package in ("airgap_bundle", "appliance") for path in sorted((ROOT / package).rglob("*.py"))]
TREES = [path for path in SOURCES if path.name == "errors.py"]
LINE = re.compile(r"^([ │├└─]*)([A-Z]\w+Error)\b", re.MULTILINE)


def bases() -> dict[str, set[str]]:
    """Bases by the name of every public error class; one name may be a class of each package."""
    found: dict[str, set[str]] = {}
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef) and re.fullmatch(r"[A-Z]\w+Error", node.name):
                found.setdefault(node.name, set()).update(map(ast.unparse, node.bases))
    return found


def drawn(path: Path) -> list[tuple[str, str | None]]:
    """Every class in the tree of ``path`` with the one that it hangs under."""
    text = ast.get_docstring(ast.parse(path.read_text())) or ""
    found: list[tuple[str, str | None]] = []
    above: list[tuple[int, str]] = []
    for prefix, name in LINE.findall(text):
        while above and above[-1][0] >= len(prefix):
            above.pop()
        found.append((name, above[-1][1] if above else None))
        above.append((len(prefix), name))
    return found


def test_every_error_is_in_a_tree() -> None:
    assert set(bases()) - {name for path in TREES for name, _ in drawn(path)} == set()


@pytest.mark.parametrize("path", TREES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_error_hangs_under_its_base(path: Path) -> None:
    known = bases()
    assert [(name, under) for name, under in drawn(path) if under is not None and under not in known[name]] == []
