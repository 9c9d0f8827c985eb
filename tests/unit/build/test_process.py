"""Programs are argument lists; what they say is heard as it comes, and their failure names them."""

from __future__ import annotations

import sys

import pytest

from airgap_bundle.build.process import ProgramError, find_program, run
from airgap_bundle.errors import BuildError


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_output_comes_back_and_is_heard_line_by_line() -> None:
    heard: list[str] = []
    code = "import sys; print('one'); sys.stderr.write('10%\\r20%\\r'); print('two', end='')"
    said = run(python(code), on_line=heard.append)
    assert sorted(heard) == sorted(["one", "10%", "20%", "two"])
    assert sorted(said.splitlines()) == sorted(heard)


def test_a_shell_is_never_involved() -> None:
    assert run([*python("import sys; print(sys.argv[1])"), "$(id); `id` *"]) == "$(id); `id` *\n".strip()


def test_the_program_cannot_ask() -> None:
    assert run(python("import sys; print(repr(sys.stdin.read()))")) == "''"


def test_a_failure_names_the_program_and_what_it_said_last() -> None:
    with pytest.raises(ProgramError, match="failed with exit code 3") as caught:
        run(python("import sys; print('the disk is on fire'); sys.exit(3)"))
    assert "the disk is on fire" in str(caught.value.hint)
    assert caught.value.output == ("the disk is on fire",)


def test_a_program_that_is_not_there_is_told_as_such() -> None:
    with pytest.raises(BuildError, match="does not start"):
        run(["/nonexistent/program"])
    with pytest.raises(BuildError, match="this machine has no nonexistent-program") as caught:
        find_program("nonexistent-program", "install it")
    assert caught.value.hint == "install it"


def test_environment_is_added_to_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OURS", "1")
    said = run(python("import os; print(os.environ['OURS'], os.environ['MORE'])"), env={"MORE": "2"})
    assert said == "1 2"
