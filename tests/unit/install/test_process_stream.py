"""A program's lines arrive while it runs, and it is ended when it takes too long."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from appliance.errors import DeploymentError
from appliance.install.process import drain, feed, run, stream

HERE = Path("/")


def test_lines_of_both_streams_come_in_order_and_the_status_is_told() -> None:
    lines: list[str] = []
    status = stream(["sh", "-c", "echo one; echo two >&2; exit 3"], lines.append, env={}, cwd=HERE, timeout_s=60)
    assert (status, lines) == (3, ["one\n", "two\n"])


def test_a_line_is_handed_over_while_the_program_runs(tmp_path: Path) -> None:
    gate = tmp_path / "gate"

    def open_gate(line: str) -> None:
        if line == "waiting\n":
            gate.touch()

    script = f"echo waiting; while [ ! -e {gate} ]; do sleep 0.05; done; echo through"
    assert stream(["sh", "-c", script], open_gate, env={}, cwd=HERE, timeout_s=60) == 0


def test_the_environment_is_the_stated_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_OF_THE_CALLER", "x")
    lines: list[str] = []
    stream(["env"], lines.append, env={"GIVEN": "y"}, cwd=HERE, timeout_s=60)
    assert "GIVEN=y\n" in lines
    assert not [line for line in lines if line.startswith("SECRET_OF_THE_CALLER")]


def test_a_program_that_does_not_end_is_killed() -> None:
    with pytest.raises(DeploymentError, match="did not end within"):
        stream(["sleep", "300"], lambda _: None, env={}, cwd=HERE, timeout_s=0.2)


def test_a_program_that_is_not_there_is_named() -> None:
    with pytest.raises(DeploymentError):
        stream(["/nowhere/program"], lambda _: None, env={}, cwd=Path("/nowhere"), timeout_s=5)


def test_bytes_flow_through_a_program_and_a_failure_tells_what_it_said() -> None:
    out = io.BytesIO()
    drain(["sh", "-c", "printf abc"], out, env={}, timeout_s=60)
    assert out.getvalue() == b"abc"
    feed(["sh", "-c", 'test "$(wc -c)" = 3000000'], io.BytesIO(bytes(3_000_000)), env={}, timeout_s=60)
    with pytest.raises(DeploymentError, match="status 4: no such table"):
        feed(["sh", "-c", "echo no such table >&2; exit 4"], io.BytesIO(bytes(3_000_000)), env={}, timeout_s=60)
    with pytest.raises(DeploymentError, match="did not end within"):
        drain(["sleep", "300"], out, env={}, timeout_s=0.2)


def test_a_source_that_fails_ends_the_program_before_it_takes_that_for_the_end(tmp_path: Path) -> None:
    class Failing(io.RawIOBase):
        def readable(self) -> bool:
            return True

        def readinto(self, buffer: object) -> int:
            assert buffer
            raise OSError("the stick was pulled")

    done = tmp_path / "done"
    with pytest.raises(OSError, match="stick"):
        feed(["sh", "-c", f"cat >/dev/null; touch {done}"], io.BufferedReader(Failing()), env={}, timeout_s=60)
    assert not done.exists()


def test_a_failure_names_the_error_although_much_follows_it() -> None:
    """As pg_restore says it: the error, then the whole statement."""
    said = "echo 'pg_restore: error: type halfvec does not exist'; printf 'line %s\\n' 1 2 3 4 5; exit 3"
    with pytest.raises(DeploymentError, match=r"status 3: pg_restore: error: .*line 3 / line 4 / line 5"):
        run(["sh", "-c", f"({said}) >&2"])
