"""Status: the engine's word is held against the kernel's, and neither is taken for what it is not."""

from __future__ import annotations

import os
import socket
import threading
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from airgap_bundle.keys import save
from appliance.install import probe
from appliance.install.confinement import compare, engine_confinement, pinned_of, program_of, reported, threads_of
from appliance.install.model_check import waivers_in_force
from appliance.install.probe import ANSWER_MAX_BYTES, Probe, fetch_json
from appliance.site.layers import LAYERS
from appliance.site.load import parse_site
from tests.unit.install.test_supervision_units import SERVICES
from tests.unit.models.small_release import host_waiver, signer, waiver

if TYPE_CHECKING:
    from pathlib import Path

NONE = "0000000000000000"
BOUND = {
    "Uid": "996\t996\t996\t996",
    "CapPrm": NONE,
    "CapEff": NONE,
    "CapAmb": NONE,
    "NoNewPrivs": "1",
    "Seccomp": "2",
}
WORD = {"confinement": [{"name": name, "holds": True, "detail": "set"} for name in LAYERS]}
SITE = b"""
schema: 1
name: trial
officers: [{name: officer, public_key: officer.pub}]
models: [{name: gemma3-270m}]
groups: [{name: analysts, models: [gemma3-270m]}]
"""


def _states(said: Any, threads: list[dict[str, str]], waived: tuple[str, ...] = ()) -> dict[str, str]:
    return {layer.name: layer.state for layer in compare(reported(said), threads, waived)}


def test_layers_hold_where_engine_and_kernel_agree() -> None:
    assert _states(WORD, [BOUND, BOUND]) == dict.fromkeys(LAYERS, "holds")
    landlock = compare(reported(WORD), [BOUND], ())[-1]
    assert landlock.detail == "set, by the engine's word"


@pytest.mark.parametrize(
    ("layer", "shown"),
    [
        ("unprivileged", {"Uid": "996\t0\t996\t996"}),
        ("unprivileged", {"CapEff": "0000000000000001"}),
        ("unprivileged", {"CapAmb": "0000000000000001"}),
        ("no_new_privs", {"NoNewPrivs": "0"}),
        ("seccomp", {"Seccomp": "0"}),
        ("seccomp", {"Seccomp": "1"}),
    ],
)
def test_one_thread_without_a_layer_contradicts_the_engine(layer: str, shown: dict[str, str]) -> None:
    found = _states(WORD, [BOUND, {**BOUND, **shown}, BOUND])
    assert found == {**dict.fromkeys(LAYERS, "holds"), layer: "contradicted"}


def test_a_missing_layer_is_waived_only_while_its_waiver_is_in_force() -> None:
    said = {"confinement": [*WORD["confinement"][:-1], {"name": "landlock", "holds": False, "detail": "none; waived"}]}
    assert _states(said, [BOUND], ("landlock",))["landlock"] == "waived"
    assert _states(said, [BOUND])["landlock"] == "missing"


@pytest.mark.parametrize(
    "said",
    [
        None,
        [],
        {},
        {"confinement": {}},
        {"confinement": [1, {}, {"name": "x", "holds": True}]},
        {"confinement": [{"name": name, "holds": "yes"} for name in LAYERS]},
    ],
)
def test_an_engine_that_does_not_say_is_not_believed(said: Any) -> None:
    assert _states(said, [BOUND], LAYERS) == dict.fromkeys(LAYERS, "unknown")


def test_a_kernel_that_shows_nothing_leaves_only_the_word_for_landlock() -> None:
    assert _states(WORD, []) == {**dict.fromkeys(LAYERS, "unknown"), "landlock": "holds"}


def test_an_engines_words_cannot_steer_the_terminal() -> None:
    said = reported({"confinement": [{"name": "seccomp", "holds": True, "detail": "\x1b]0;owned\x07" + "x" * 900}]})
    assert said["seccomp"].detail.isprintable()
    assert len(said["seccomp"].detail) < 300


@pytest.mark.parametrize(
    ("said", "pinned"),
    [
        ({"pinned": {"tokens": 7, "most": 90}}, (7, 90)),
        ({"pinned": {"tokens": True, "most": -1}}, (None, None)),
        ({"pinned": [7]}, (None, None)),
        ({}, (None, None)),
        (None, (None, None)),
    ],
)
def test_what_an_engine_says_of_its_pins_is_numbers_or_nothing(
    said: Any, pinned: tuple[int | None, int | None]
) -> None:
    assert pinned_of(said) == pinned


@pytest.mark.parametrize(
    ("said", "program"),
    [
        ({"program": "llama-server"}, "llama-server"),
        ({"program": "\x1b[2J"}, None),
        ({"program": ["llama-server"]}, None),
        ({}, None),
        (None, None),
    ],
)
def test_what_an_engine_says_that_it_is_is_a_name_we_know_or_nothing(said: Any, program: str | None) -> None:
    assert program_of(said) == program


def test_an_engine_that_does_not_run_is_unknown_and_not_well() -> None:
    engine = next(s for s in SERVICES if s.name.startswith("engine-"))
    found = engine_confinement(engine, None, ())
    assert {layer.state for layer in found.layers} == {"unknown"}
    assert not found.ok


def test_every_thread_of_a_process_is_looked_at() -> None:
    stop = threading.Event()
    before = len(threads_of(os.getpid()))
    other = threading.Thread(target=stop.wait)
    other.start()
    try:
        found = threads_of(os.getpid())
    finally:
        stop.set()
        other.join()
    assert len(found) == before + 1
    assert {thread["Seccomp"] for thread in found} <= {"0", "1", "2"}
    assert threads_of(2**22 + 1) == ()


@pytest.mark.parametrize(
    "body", [b"", b"not json", b"[1]", b'{"a": NaN}', b'{"a": 1, "a": 2}', b'"' + b"x" * ANSWER_MAX_BYTES + b'"']
)
def test_an_answer_that_is_no_sound_json_is_none(tmp_path: Path, body: bytes) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        listener.listen()
        thread = threading.Thread(target=_answer, args=(listener, body))
        thread.start()
        assert fetch_json(Probe("unix-http", str(tmp_path / "s"), "/model")) is None
        thread.join()


def _answer(listener: socket.socket, body: bytes) -> None:
    connection, _ = listener.accept()
    with connection:
        connection.recv(4096)
        try:
            connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
        except BrokenPipeError:
            return


@pytest.mark.parametrize("head", [b"HTTP/1.1 200 OK\r\nx: ", b"HTTP/1.1 200 OK\r\ncontent-length: 99999\r\n\r\n"])
def test_an_answer_that_comes_byte_by_byte_ends(tmp_path: Path, head: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """A service that was taken over keeps nobody waiting who asks for the site's status."""
    monkeypatch.setattr(probe, "ANSWER_MAX_S", 0.5)
    stop = threading.Event()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        listener.listen()
        thread = threading.Thread(target=_drip, args=(listener, head, stop))
        thread.start()
        asking = threading.Thread(target=fetch_json, args=(Probe("unix-http", str(tmp_path / "s"), "/model"),))
        asking.start()
        asking.join(5)
        kept = asking.is_alive()
        stop.set()
        thread.join()
        asking.join()
    assert not kept


def _drip(listener: socket.socket, head: bytes, stop: threading.Event) -> None:
    connection, _ = listener.accept()
    with connection, suppress(OSError):
        connection.recv(4096)
        connection.sendall(head)
        while not stop.wait(0.1):
            connection.sendall(b" ")


def test_an_answer_is_read_and_no_answer_is_none(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        listener.listen()
        thread = threading.Thread(target=_answer, args=(listener, b'{"confinement": []}'))
        thread.start()
        assert fetch_json(Probe("unix-http", str(tmp_path / "s"), "/model")) == {"confinement": []}
        thread.join()
    assert fetch_json(Probe("unix-http", str(tmp_path / "nowhere"), "/model")) is None


def test_status_shows_every_waiver_of_a_host_until_it_ends(tmp_path: Path) -> None:
    for folder in ("officers", "waivers"):
        (tmp_path / folder).mkdir()
    save(signer("officer"), tmp_path / "officers", b"passphrase", cost=2)
    now = datetime.now(UTC)
    (tmp_path / "waivers" / "1-host").write_bytes(host_waiver(issued=now - timedelta(days=1)))
    (tmp_path / "waivers" / "2-ended").write_bytes(host_waiver(issued=now - timedelta(days=100)))
    (tmp_path / "waivers" / "3-elsewhere").write_bytes(host_waiver(issued=now - timedelta(days=1), site="other"))
    (tmp_path / "waivers" / "4-model").write_bytes(waiver("a" * 64, issued=now - timedelta(days=1)))
    (tmp_path / "waivers" / "5-junk").write_bytes(b"{}")
    found = waivers_in_force(parse_site(SITE, "site.yaml"), tmp_path, now)
    assert [(w.kind, w.subject, w.in_force) for w in found] == [
        ("host", "trial", True),
        ("host", "trial", False),
        ("host", "other", False),
        ("model", "gemma3-270m", True),
        ("unknown", "5-junk", False),
    ]
    assert (found[0].waives, found[0].officer) == (("landlock",), "officer")
    assert "not for trial" in found[2].reason
