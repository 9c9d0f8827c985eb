"""The only module of the installer that starts programs.

Programs get an argv list, a stated environment (nothing is inherited), input on stdin and, where asked, another user.
They die with the installer: a killed installer leaves no half-finished program writing into the folder that its
successor cleans up.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from appliance.errors import DeploymentError

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import BinaryIO

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
TAIL_LINES = 3
_PIECE = 1 << 20
_OVERFLOW_ID = 65534  # nobody and nogroup (/proc/sys/kernel/overflowuid)


@dataclass(frozen=True)
class Account:
    """The user and group that a program runs as."""

    uid: int
    gid: int


Attached = subprocess.Popen
"""A program that ``attach`` started; who did so kills it and waits for it."""
NOBODY = Account(_OVERFLOW_ID, _OVERFLOW_ID)


def run(  # noqa: PLR0913 - each is a property of the process, all by keyword
    argv: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    stdin: bytes = b"",
    cwd: Path | None = None,
    account: Account | None = None,
    timeout_s: float = 600,
) -> bytes:
    """Run ``argv`` to its end; its stdout. Raises ``DeploymentError`` with the last lines it wrote when it fails."""
    switched = account if os.geteuid() == 0 else None
    try:
        done = subprocess.run(
            [*_tether(), *argv],
            input=stdin,
            env={"PATH": PATH, "LC_ALL": "C.UTF-8", **(env or {})},
            cwd=cwd or "/",
            capture_output=True,
            timeout=timeout_s,
            check=False,
            umask=0o022,
            user=switched.uid if switched else None,
            group=switched.gid if switched else None,
            extra_groups=[] if switched else None,
        )
    except subprocess.TimeoutExpired as error:
        raise DeploymentError(f"{Path(argv[0]).name} did not end within {timeout_s:.0f} s", "try again") from error
    except OSError as error:
        raise DeploymentError(f"{argv[0]} cannot be started: {error.strerror}") from error
    if done.returncode != 0:
        raise _failed(argv, done.returncode, done.stderr or done.stdout)
    return done.stdout


def succeeds(argv: Sequence[str], *, stdin: bytes = b"", account: Account | None = None, timeout_s: float = 30) -> bool:
    """Whether ``argv`` can be run, by another user where asked, and ends with status 0."""
    try:
        run(argv, stdin=stdin, account=account, timeout_s=timeout_s)
    except DeploymentError:
        return False
    return True


def stream(
    argv: Sequence[str],
    on_line: Callable[[str], None],
    *,
    env: Mapping[str, str],
    cwd: Path,
    timeout_s: float,
) -> int:
    """Run ``argv`` and hand over every line that it writes, to stdout or stderr, as it comes; its exit status.

    Raises ``DeploymentError`` when it cannot be started or does not end in time; it is then killed.
    """
    try:
        child = subprocess.Popen(
            [*_tether(), *argv],
            env={"PATH": PATH, "LC_ALL": "C.UTF-8", **env},
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            umask=0o022,
        )
    except OSError as error:
        raise DeploymentError(f"{argv[0]} cannot be started: {error.strerror}") from error
    overdue = threading.Event()

    def end() -> None:
        overdue.set()
        child.kill()

    timer = threading.Timer(timeout_s, end)
    timer.start()
    try:
        with child:
            assert child.stdout is not None
            try:
                for line in child.stdout:
                    on_line(line)
            except BaseException:  # before what it works in goes
                child.kill()
                raise
    finally:
        timer.cancel()
    if overdue.is_set():
        raise DeploymentError(f"{Path(argv[0]).name} did not end within {timeout_s:.0f} s", "try again")
    return child.returncode


def drain(  # noqa: PLR0913 - each is a property of the process
    argv: Sequence[str],
    sink: BinaryIO,
    *,
    env: Mapping[str, str],
    account: Account | None = None,
    timeout_s: float,
    stdin: bytes = b"",
) -> None:
    """Run ``argv`` and write what it puts out to ``sink``, piece by piece. Raises as ``run``, and as ``sink`` does.

    ``stdin`` is what it reads, a few lines at the most.
    """
    with output(argv, env=env, account=account, timeout_s=timeout_s, stdin=stdin) as source:
        shutil.copyfileobj(source, sink, _PIECE)


@contextmanager
def output(
    argv: Sequence[str],
    *,
    env: Mapping[str, str],
    account: Account | None = None,
    timeout_s: float,
    stdin: bytes = b"",
) -> Iterator[BinaryIO]:
    """What ``argv`` puts out, to be read to its end inside the block. Raises as ``run`` when the block ends."""
    given = subprocess.PIPE if stdin else subprocess.DEVNULL
    with _piped(argv, env, account, timeout_s, stdin=given, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        if child.stdin is not None:
            with suppress(BrokenPipeError):  # it ended early, and says why
                child.stdin.write(stdin)
                child.stdin.close()
        yield cast("BinaryIO", child.stdout)


def attach(argv: Sequence[str], connection: socket.socket) -> Attached[bytes]:
    """Start ``argv`` with ``connection`` for both its stdin and stdout; who starts it ends it. Raises ``OSError``.

    It dies with the thread that started it.
    """
    return subprocess.Popen(
        [*_tether(), *argv],
        env={"PATH": PATH, "LC_ALL": "C.UTF-8"},
        cwd="/",
        stdin=connection.fileno(),
        stdout=connection.fileno(),
        stderr=subprocess.DEVNULL,
        umask=0o077,
    )


def feed(
    argv: Sequence[str], source: BinaryIO, *, env: Mapping[str, str], account: Account | None = None, timeout_s: float
) -> None:
    """Run ``argv`` with all that ``source`` gives on its stdin. Raises as ``run``, and what ``source`` does.

    Where ``source`` raises, the program is killed before it could take the end of its input for the end of the data.
    """
    with _piped(argv, env, account, timeout_s, stdin=subprocess.PIPE) as child:
        assert child.stdin is not None
        with suppress(BrokenPipeError):  # it ended early, and says why
            shutil.copyfileobj(source, child.stdin, _PIECE)
        with suppress(BrokenPipeError):
            child.stdin.close()
        while source.read(_PIECE):  # what the program did not want may still be false
            pass


@contextmanager
def _piped(  # noqa: PLR0913 - each is a property of the process
    argv: Sequence[str],
    env: Mapping[str, str],
    account: Account | None,
    timeout_s: float,
    *,
    stdin: int = subprocess.DEVNULL,
    stdout: int = subprocess.DEVNULL,
) -> Iterator[subprocess.Popen[bytes]]:
    """A running program, waited for at the end of the block, killed where that raises or when its time is over."""
    switched = account if os.geteuid() == 0 else None
    overdue = threading.Event()
    with tempfile.TemporaryFile() as said:
        try:
            child = subprocess.Popen(
                [*_tether(), *argv],
                env={"PATH": PATH, "LC_ALL": "C.UTF-8", **env},
                cwd="/",
                stdin=stdin,
                stdout=stdout,
                stderr=said,
                umask=0o077,
                user=switched.uid if switched else None,
                group=switched.gid if switched else None,
                extra_groups=[] if switched else None,
            )
        except OSError as error:
            raise DeploymentError(f"{argv[0]} cannot be started: {error.strerror}") from error

        def end() -> None:
            overdue.set()
            child.kill()

        timer = threading.Timer(timeout_s, end)
        timer.start()
        try:
            yield child
            child.wait()
        except BaseException:
            child.kill()
            raise
        finally:
            timer.cancel()
            child.wait()
            for pipe in (child.stdin, child.stdout):
                with suppress(OSError):
                    _ = pipe and pipe.close()
        if overdue.is_set():
            raise DeploymentError(f"{Path(argv[0]).name} did not end within {timeout_s:.0f} s", "try again")
        if child.returncode != 0:
            said.seek(0)
            raise _failed(argv, child.returncode, said.read())


def _failed(argv: Sequence[str], status: int, said: bytes) -> DeploymentError:
    lines = said.decode(errors="replace").strip().splitlines()
    cause = next((line for line in lines[:-TAIL_LINES] if "error:" in line.lower()), None)
    told = " / ".join(line.strip() for line in [*([cause] if cause else []), *lines[-TAIL_LINES:]])
    return DeploymentError(f"{Path(argv[0]).name} failed with status {status}: {told}")


def start_detached(argv: Sequence[str], *, env: Mapping[str, str], cwd: Path, log: Path) -> int:
    """Start a program that outlives this one, in a session of its own; its pid. Its output goes to ``log``."""
    with log.open("ab") as out:
        child = subprocess.Popen(
            argv,
            env=dict(env),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            umask=0o022,
        )
    child.returncode = 0  # it is not ours to wait for: without this, Popen warns when collected
    return child.pid


def _tether() -> list[str]:
    """Have the kernel kill the program when the installer dies (prctl(2), PR_SET_PDEATHSIG)."""
    setpriv = shutil.which("setpriv", path=PATH)
    return [setpriv, "--pdeathsig", "KILL", "--"] if setpriv else []
