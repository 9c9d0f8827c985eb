"""`sovereign chat` as a process, signed in through a real Keycloak."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.integration.identity.answering_gateway import RECEIPT, Seen, answering_gateway
from tests.integration.keycloak_site import KeycloakSite, SignInPage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.network

_RUN = "from appliance.cli.entry import run; run()"


class Terminal:
    """A person's terminal: runs `sovereign chat` with a state directory of its own."""

    def __init__(self, site: KeycloakSite, state: Path) -> None:
        self._site = site
        self.state = state

    @contextlib.contextmanager
    def running(self, *arguments: str) -> Iterator[subprocess.Popen[str]]:
        """The command as a process that hears Ctrl-C whoever started the tests; killed at the end if it still runs."""
        argv = (
            "/usr/bin/env",
            "--default-signal=INT",
            sys.executable,
            "-c",
            _RUN,
            "chat",
            "--url",
            self._site.config.gateway_url,
        )
        with subprocess.Popen(
            (*argv, "--ca", str(self._site.ca), *arguments),
            env={"XDG_STATE_HOME": str(self.state), "PATH": "/usr/bin:/bin"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                yield process
            finally:
                process.kill()

    def run(self, *arguments: str, stdin: str = "") -> tuple[int, str, str]:
        """The command's exit code, stdout and stderr."""
        with self.running(*arguments) as process:
            out, err = process.communicate(stdin, timeout=120)
            return process.returncode, out, err

    def sign_in(self, username: str, *arguments: str) -> tuple[int, str]:
        """Run the command, and confirm its code as ``username`` in a browser; exit code and stdout."""
        with self.running(*arguments) as process:
            assert process.stderr is not None
            match = None
            while match is None:
                line = process.stderr.readline()
                assert line, "the command ended without asking for a sign-in"
                match = re.search(r"open (\S+)", line)
            with SignInPage(self._site) as page:
                page.open(match.group(1)).sign_in(username).submit(accept="Yes")
            out, _ = process.communicate(timeout=120)
            return process.returncode, out


@pytest.fixture
def gateway(keycloak_site: KeycloakSite) -> Iterator[Seen]:
    keycloak_site.ensure_user("analyst", "analysts")
    with answering_gateway(keycloak_site) as seen:
        yield seen


@pytest.fixture
def terminal(keycloak_site: KeycloakSite, tmp_path: Path) -> Terminal:
    return Terminal(keycloak_site, tmp_path)


def test_a_person_signs_in_once_asks_converses_and_signs_out(gateway: Seen, terminal: Terminal) -> None:
    code, out = terminal.sign_in("analyst", "What is the capital of France?")
    assert (code, out) == (0, "The capital is [31mParis.\n")  # the escape character is gone
    (file,) = (terminal.state / "sovereign").glob("*.json")
    assert file.stat().st_mode & 0o777 == 0o600

    code, out, _ = terminal.run("--output", "json", "Again?")
    assert code == 0
    assert json.loads(out) == {
        "answer": "The capital is [31mParis.",
        "model": "gemma3-270m",
        "finish_reason": "stop",
        "receipt": RECEIPT,
    }

    kept = json.loads(file.read_text())
    file.write_text(json.dumps({**kept, "expires_at": 0}))
    code, out, err = terminal.run(stdin="First?\nSecond?\n/new\nThird?\n/quit\n")
    assert code == 0, err
    assert "entry 7 of sovereign/test-site" in err
    assert [len(messages) for messages in gateway.questions] == [1, 1, 1, 3, 1]
    assert set(gateway.users) == {"analyst"}
    assert json.loads(file.read_text())["refresh_token"] != kept["refresh_token"]

    code, _, err = terminal.run("--sign-out")
    assert (code, "signed out" in err) == (0, True)
    assert not file.exists()


def test_interrupting_stops_the_answer_at_the_gateway(gateway: Seen, terminal: Terminal) -> None:
    terminal.sign_in("analyst", "Hello?")
    with terminal.running("Count slowly") as process:
        assert process.stdout is not None
        assert process.stdout.read(5) == "word "
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
        assert process.returncode == 130
    assert gateway.stopped.wait(60)


@pytest.mark.parametrize(
    ("status", "exit_code", "hint"),
    [(403, 7, "which groups you belong to"), (429, 5, "in 7 seconds"), (503, 5, "try again later"), (500, 1, "tell")],
)
def test_a_refusal_is_told_in_the_gateways_words(
    gateway: Seen, terminal: Terminal, status: int, exit_code: int, hint: str
) -> None:
    gateway.refuse = (status, {"error": {"message": "not\u001b now"}})
    terminal.sign_in("analyst", "Hello?")
    code, out, err = terminal.run("Hello?")
    assert (code, out) == (exit_code, "")
    assert "not now" in err
    assert hint in err


def test_without_the_sites_ca_nothing_is_sent(keycloak_site: KeycloakSite, gateway: Seen, tmp_path: Path) -> None:
    argv = (sys.executable, "-c", _RUN, "chat", "--url", keycloak_site.config.gateway_url, "Hello?")
    env = {"XDG_STATE_HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(argv, env=env, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 5
    assert "--ca" in done.stderr
    assert gateway.users == []
