"""Every vector is answered as it expects, and the vectors are what their generator writes."""

from __future__ import annotations

import filecmp
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests import conformance
from tests.vectors.generate import HERE, ask
from tests.vectors.tree import FILES, load, vectors

if TYPE_CHECKING:
    from pathlib import Path

VECTORS = vectors(HERE)


@pytest.mark.parametrize("vector", VECTORS, ids=[str(path.relative_to(HERE)) for path in VECTORS])
def test_this_implementation_answers_as_the_vector_expects(vector: Path) -> None:
    expect, answer = ask(vector)
    assert {key: answer.get(key) for key in expect} == expect


def test_generating_again_gives_the_same_bytes(tmp_path: Path) -> None:
    """In a process of its own: nothing may have been signed before the kept signatures are known."""
    subprocess.run([sys.executable, "-m", "tests.vectors.generate", tmp_path], check=True)
    for name in ("files", "valid", "invalid"):
        assert _differences(filecmp.dircmp(HERE / name, tmp_path / name, ignore=[])) == []


def _differences(found: filecmp.dircmp[str]) -> list[str]:
    _, changed, unread = filecmp.cmpfiles(found.left, found.right, found.common_files, shallow=False)
    inner = [line for part in found.subdirs.values() for line in _differences(part)]
    return [*found.left_only, *found.right_only, *changed, *unread, *inner]


def test_every_file_of_the_pool_is_used() -> None:
    used = {entry["file"] for vector in VECTORS for entry in load(vector)[1] if "file" in entry}
    assert {path.name for path in FILES.iterdir()} == used


def test_there_are_at_least_sixty_vectors_and_each_lies_under_the_class_that_it_expects() -> None:
    assert len(VECTORS) >= 60
    for vector in VECTORS:
        expect = load(vector)[0]["expect"]
        place = vector.relative_to(HERE).parts
        assert place[0] == {"accepted": "valid", "refused": "invalid"}[expect["verdict"]]
        assert place[0] == "valid" or place[1] == expect["error"]


def test_another_implementation_is_driven_by_its_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert conformance.main(["--only", "RollbackError/older-roots"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "1 passed, 0 failed"


WRONG = {
    "says yes to everything": """print('{"verdict": "accepted"}')""",
    "says no to everything": """print('{"verdict": "refused", "error": "FormatError"}')""",
    "says nothing": "",
}


@pytest.mark.parametrize("program", WRONG.values(), ids=WRONG)
def test_an_implementation_that_does_not_look_fails(
    program: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = tmp_path / "wrong.py"
    script.write_text(program)
    assert conformance.main(["--command", f"{sys.executable} -S {script}", "--only", "expired"]) == 1
    assert capsys.readouterr().out.splitlines()[-1] == "0 passed, 2 failed"


def test_no_vector_at_all_is_a_failure() -> None:
    assert conformance.main(["--only", "no vector is called this"]) == 1
