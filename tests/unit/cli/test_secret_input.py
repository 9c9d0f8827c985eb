"""Passphrases and PINs: typed unseen, or from a descriptor; never an argument, never the environment, never output."""

from __future__ import annotations

import getpass
import io
import json
import os
import pty
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import typer

from appliance.cli import host, main, serve, terminal
from appliance.cli.lazy import LazyGroup
from appliance.cli.signers import NewPassphrase, Person, consent
from appliance.errors import UsageError
from appliance.install.systemd_creds import SystemdCreds
from appliance.site.paths import SitePaths
from appliance.site.site_key import create_key

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[3]
SECRET = "violet-anchor-sings-twice"
_WORDS = ("passphrase", "password", "pin", "secret")


def parameters(command: Any, path: str = "sovereign") -> Iterator[tuple[str, Any]]:
    for parameter in command.params:
        yield f"{path} {parameter.name}", parameter
    for name, inner in getattr(command, "commands", {}).items():
        yield from parameters(inner, f"{path} {name}")


def everything() -> list[tuple[str, Any]]:
    people, services = (typer.main.get_command(app) for app in (main.app, serve.app))
    assert isinstance(people, LazyGroup)
    people.load_all()
    return [found for tree in (people, services) for found in parameters(tree)]


def test_what_an_option_gives_is_a_descriptor_never_the_secret() -> None:
    about_secrets = {place: found for place, found in everything() if set(str(found.name).split("_")) & set(_WORDS)}
    assert {"sovereign bundle sign passphrase_fd", "sovereign trust keygen pin_fd"} <= about_secrets.keys()
    for place, found in about_secrets.items():
        assert found.name.endswith("_fd"), place
        assert found.envvar is None, place


def test_commands_do_not_read_options_from_the_environment_by_themselves() -> None:
    assert {found.envvar for _, found in everything() if found.envvar} <= {
        "SOVEREIGN_SITE",
        "SOVEREIGN_URL",
        "SOVEREIGN_CA",
    }
    for app in (main.app, serve.app):
        assert not typer.main.get_command(app).context_settings.get("auto_envvar_prefix")


@pytest.fixture
def descriptor() -> Iterator[int]:
    reader, writer = os.pipe()
    os.write(writer, f"{SECRET}\nmore\n".encode())
    os.close(writer)
    yield reader
    os.close(reader)


def test_a_descriptor_gives_its_first_line(descriptor: int) -> None:
    assert terminal.read_passphrase("passphrase", descriptor) == SECRET.encode()


@pytest.mark.parametrize(
    ("given", "match"), [(b"", "is empty"), (b"\n", "is empty"), (b"x" * 5000, "longer than 4096")]
)
def test_no_passphrase_and_no_end_of_one_are_refused(given: bytes, match: str) -> None:
    reader, writer = os.pipe()
    os.write(writer, given)
    os.close(writer)
    with pytest.raises(UsageError, match=match):
        terminal.read_passphrase("passphrase", reader)
    os.close(reader)


def test_a_closed_descriptor_is_named() -> None:
    reader, writer = os.pipe()
    os.close(writer)
    os.close(reader)
    with pytest.raises(UsageError, match=f"file descriptor {reader} cannot be read"):
        terminal.read_passphrase("passphrase", reader)


def test_a_terminal_is_not_read_through_a_descriptor_where_it_would_echo() -> None:
    master, slave = pty.openpty()
    try:
        with pytest.raises(UsageError, match="would show the passphrase"):
            terminal.read_passphrase("passphrase", slave)
    finally:
        os.close(master)
        os.close(slave)


def test_a_terminal_that_cannot_hide_what_is_typed_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal.sys, "stdin", io.StringIO(f"{SECRET}\n"))
    monkeypatch.setattr(terminal.sys.stdin, "isatty", lambda: True)
    monkeypatch.setattr(getpass, "getpass", getpass.fallback_getpass)  # type: ignore[attr-defined]  # what getpass falls back to
    with pytest.raises(UsageError, match="would show the passphrase"):
        terminal.read_passphrase("passphrase", None)


def test_without_terminal_or_descriptor_nothing_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal.sys, "stdin", io.StringIO(f"{SECRET}\n"))
    with pytest.raises(UsageError, match="there is no terminal"):
        terminal.read_passphrase("passphrase", None)


def test_one_descriptor_does_not_give_two_secrets() -> None:
    with pytest.raises(UsageError, match="passphrase and PIN"):
        Person(passphrase_fd=3, pin_fd=3)


def test_a_new_passphrase_is_not_short() -> None:
    reader, writer = os.pipe()
    os.write(writer, b"short\n")
    os.close(writer)
    with pytest.raises(UsageError, match="is guessed"):
        NewPassphrase(passphrase_fd=reader).passphrase("new passphrase")
    os.close(reader)


def test_a_new_passphrase_is_typed_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    typed = iter([SECRET, f"{SECRET}?"])
    monkeypatch.setattr(terminal.sys, "stdin", io.StringIO())
    monkeypatch.setattr(terminal.sys.stdin, "isatty", lambda: True)
    monkeypatch.setattr(getpass, "getpass", lambda *_args, **_more: next(typed))
    with pytest.raises(UsageError, match="differ"):
        NewPassphrase().passphrase("new passphrase")


def test_the_passphrase_of_a_site_key_is_new_until_there_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = SitePaths(tmp_path)
    asked: list[str] = []
    monkeypatch.setattr(
        "appliance.cli.signers.read_passphrase", lambda what, _fd: asked.append(what) or SECRET.encode()
    )
    monkeypatch.setattr(host, "read_passphrase", lambda what, _fd: asked.append(what) or SECRET.encode())
    assert host.first_passphrase(paths, None)() == SECRET.encode()
    assert asked == ["new passphrase of the site key", "once more, new passphrase of the site key"]
    paths.secrets.mkdir(parents=True)
    create_key(paths.secrets, "file", sealer=SystemdCreds(), passphrase=bytes)
    host.first_passphrase(paths, None)()
    assert asked[2:] == ["passphrase of the site key"]


def test_nothing_is_signed_where_nobody_can_be_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    with pytest.raises(UsageError, match="nobody can be asked"):
        consent(["root 2"], "sign?", yes=False)
    consent(["root 2"], "sign?", yes=True)


def test_yes_does_not_answer_for_a_person_at_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    with pytest.raises(UsageError, match="not signed"):
        consent(["root 2"], "sign?", yes=True)


def _family(pid: int) -> list[int]:
    """``pid`` and its descendants."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text().split():
            found += _family(int(child))
    return found


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="reads /proc")
def test_a_passphrase_shows_in_no_argument_environment_output_or_file(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    argv = [sys.executable, "-c", "from appliance.cli.entry import run; run()", "trust", "keygen", "architect"]
    argv += ["--out", str(tmp_path), "--output", "json", "--passphrase-fd", str(reader)]
    process = subprocess.Popen(
        argv, cwd=ROOT, pass_fds=[reader], stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL
    )
    os.close(reader)
    os.write(writer, f"{SECRET}\n".encode())
    os.close(writer)
    seen = b""
    while process.poll() is None:
        for pid in _family(process.pid):
            for name in ("cmdline", "environ"):
                try:
                    seen += Path(f"/proc/{pid}/{name}").read_bytes()
                except OSError:
                    continue  # it has ended meanwhile
        time.sleep(0.05)
    out, err = process.communicate()
    assert process.returncode == 0, err
    assert json.loads(out)["name"] == "architect"
    files = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"keygen" in seen
    for place in (seen, out, err, files):
        assert SECRET.encode() not in place


def test_a_wrong_passphrase_is_not_repeated_in_the_refusal(tmp_path: Path) -> None:
    key = tmp_path / "architect.key"
    key.write_text("sovereign signer: architect\n")
    reader, writer = os.pipe()
    os.write(writer, f"{SECRET}\n".encode())
    os.close(writer)
    argv = [sys.executable, "-c", "from appliance.cli.entry import run; run()", "trust", "waive", "--key", str(key)]
    argv += ["--model", "m", "--digest", "ab" * 32, "--waives", "c", "--reason", "r", "--out", str(tmp_path / "w")]
    done = subprocess.run(
        [*argv, "--passphrase-fd", str(reader)], cwd=ROOT, pass_fds=[reader], capture_output=True, check=False
    )
    os.close(reader)
    assert done.returncode == 2
    assert b"error: " in done.stderr
    assert SECRET.encode() not in done.stdout + done.stderr
