"""A real supervisord: starts in order, heals what is killed, stops whole."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import shutil
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from appliance.install.journal import read_journal
from appliance.install.keeper import KEEPER
from appliance.install.lock import site_lock
from appliance.install.logs import log_tail
from appliance.install.probe import answers
from appliance.install.services import MIB
from appliance.install.startup import start_services, stop_services
from appliance.install.supervision.supervisor import Supervisord
from appliance.install.vault import take_back
from tests.install.supervised import WAIT_S, make_site, service, write

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from appliance.install.services import Service
    from appliance.site.paths import SitePaths


@pytest.fixture
def paths(tmp_path: Path) -> Iterator[SitePaths]:
    found = make_site(tmp_path / "s")
    yield found
    shutil.rmtree(
        found.credentials("a").parent, ignore_errors=True
    )  # whatever still wants to resume sees: it was stopped
    Supervisord(found).close()
    shutil.rmtree(found.run)


def until(holds: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        if holds():
            return True
        time.sleep(0.05)
    return False


def running(paths: SitePaths, what: str) -> set[int]:
    """Pids of the living processes that are ``what`` at this site, by their command lines."""
    word = {KEEPER: "appliance.install.keeper", "supervisord": str(paths.journal.parent / "supervisord.conf")}
    return {pid for pid, line in of_site(paths).items() if word.get(what, str(paths.run / f"{what}.sock")) in line}


def of_site(paths: SitePaths) -> dict[int, list[str]]:
    """The command line of every living process that names this site."""
    found = {}
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            line = (entry / "cmdline").read_bytes().decode().split("\0") if entry.name.isdecimal() else []
            if any(str(paths.root) in word for word in line):
                found[int(entry.name)] = line
    return found


def everything(paths: SitePaths) -> dict[str, set[int]]:
    names = [name for name, _ in json.loads((paths.root / "services.json").read_text())]
    return {what: running(paths, what) for what in (*names, KEEPER, "supervisord")}


def counts(paths: SitePaths) -> dict[str, int]:
    return {what: len(pids) for what, pids in everything(paths).items()}


def supervisord(paths: SitePaths) -> int:
    return int((paths.run / "supervisord.pid").read_text())


def ready(manager: Supervisord, *services: Service) -> bool:
    states = manager.states(services)
    return all(states[s.name].pid is not None and answers(s.probe) for s in services)


def test_services_come_up_in_order_and_only_once(paths: SitePaths) -> None:
    first, second = service(paths, "a"), service(paths, "b", after=("a",))
    write(paths, first, second)
    heard: list[tuple[int, int]] = []
    assert start_services(paths, [first, second], lambda n, of: heard.append((n, of))) == ("a", "b")
    assert heard[0] == (0, 2)
    assert heard[-1] == (2, 2)
    assert start_services(paths, [first, second], lambda _n, _of: None) == ()
    assert "serving 100% of 'it' \"here\"" in log_tail(first.log)


def test_a_killed_service_is_healed(paths: SitePaths) -> None:
    one = service(paths, "a")
    manager = write(paths, one)
    start_services(paths, [one], lambda _n, _of: None)
    pid = manager.states([one])["a"].pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    assert until(lambda: manager.states([one])["a"].pid not in {None, pid})
    assert start_services(paths, [one], lambda _n, _of: None) in {(), ("a",)}


def test_a_killed_supervisord_comes_back_with_exactly_one_of_each(paths: SitePaths) -> None:
    one, two = service(paths, "a"), service(paths, "b", after=("a",))
    manager = write(paths, one, two)
    start_services(paths, [one, two], lambda _n, _of: None)
    assert until(lambda: len(running(paths, KEEPER)) == 1)
    before = everything(paths)
    os.kill(supervisord(paths), signal.SIGKILL)
    assert until(lambda: [r.step for r in read_journal(paths.journal)] == ["realm", "resume"])
    assert ready(manager, one, two)
    assert until(lambda: counts(paths) == {"a": 1, "b": 1, KEEPER: 1, "supervisord": 1})
    after = everything(paths)
    assert not any(before[name] & after[name] for name in after)


def test_a_killed_keeper_comes_back_and_nothing_else_is_touched(paths: SitePaths) -> None:
    one = service(paths, "a")
    write(paths, one)
    start_services(paths, [one], lambda _n, _of: None)
    assert until(lambda: len(running(paths, KEEPER)) == 1)
    before = everything(paths)
    (keeper,) = before[KEEPER]
    os.kill(keeper, signal.SIGKILL)
    assert until(lambda: len(running(paths, KEEPER) - {keeper}) == 1)
    assert until(lambda: counts(paths) == {"a": 1, KEEPER: 1, "supervisord": 1})
    after = everything(paths)
    assert {name: after[name] for name in ("a", "supervisord")} == {n: before[n] for n in ("a", "supervisord")}


def test_a_new_keeper_keeps_as_the_first_did(paths: SitePaths) -> None:
    one = service(paths, "a")
    manager = write(paths, one)
    start_services(paths, [one], lambda _n, _of: None)
    for victim in (KEEPER, "supervisord", KEEPER, "supervisord"):
        assert until(lambda: set(counts(paths).values()) == {1})
        (pid,) = everything(paths)[victim]
        os.kill(pid, signal.SIGKILL)
        assert until(lambda pid=pid, victim=victim: everything(paths)[victim] - {pid} != set())
        assert until(lambda: ready(manager, one))
    assert until(lambda: set(counts(paths).values()) == {1})


def test_both_killed_at_once_leave_nothing_running_and_up_starts_again(paths: SitePaths) -> None:
    one = service(paths, "a")
    manager = write(paths, one)
    start_services(paths, [one], lambda _n, _of: None)
    assert until(lambda: len(running(paths, KEEPER)) == 1)
    (keeper,) = running(paths, KEEPER)
    os.kill(keeper, signal.SIGSTOP)  # so that neither sees the other die
    os.kill(supervisord(paths), signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError):  # a stopped child whose group is orphaned is hung up by the kernel
        os.kill(keeper, signal.SIGKILL)
    assert until(lambda: not of_site(paths))
    assert manager.states([one])["a"].state == "stopped"
    assert start_services(paths, [one], lambda _n, _of: None) == ("a",)


def test_a_site_that_the_operator_stopped_is_not_resumed(paths: SitePaths) -> None:
    one = service(paths, "a")
    write(paths, one)
    start_services(paths, [one], lambda _n, _of: None)
    assert until(lambda: len(running(paths, KEEPER)) == 1)
    with site_lock(paths):  # as `down` does, and supervisord is killed in the middle of it
        os.kill(supervisord(paths), signal.SIGKILL)
        take_back(paths)
    assert until(lambda: not of_site(paths))
    assert [r.step for r in read_journal(paths.journal)] == ["realm"]


def test_stopping_takes_every_service_and_then_the_manager(paths: SitePaths) -> None:
    one = service(paths, "a")
    manager = write(paths, one)
    start_services(paths, [one], lambda _n, _of: None)
    pid = manager.states([one])["a"].pid
    stop_services(paths, [one])
    assert not Path(f"/proc/{pid}").exists()
    manager.close()
    assert manager.states([one])["a"].state == "stopped"
    assert not of_site(paths)


def test_a_changed_definition_is_taken_up_without_restarting_the_manager(paths: SitePaths) -> None:
    one = service(paths, "a")
    manager = write(paths, one)
    start_services(paths, [one], lambda _n, _of: None)
    before = (paths.run / "supervisord.pid").read_text()
    pid = manager.states([one])["a"].pid
    two = service(paths, "b")
    write(paths, one, two)
    assert start_services(paths, [one, two], lambda _n, _of: None) == ("b",)
    assert (paths.run / "supervisord.pid").read_text() == before
    assert manager.states([one])["a"].pid == pid


def test_a_service_gets_no_more_memory_than_its_own_and_a_mapped_model_does_not_count(paths: SitePaths) -> None:
    modest, greedy = service(paths, "modest"), service(paths, "greedy")
    greedy = dataclasses.replace(greedy, argv=(*greedy.argv, str(2 * greedy.memory_mib * MIB)))
    modest = dataclasses.replace(modest, argv=(*modest.argv, str(modest.memory_mib * MIB // 2)))
    write(paths, modest, greedy)
    start_services(paths, [modest, greedy], lambda _n, _of: None)
    assert "mapped 0\n  refused\n  serving" in log_tail(greedy.log)
    assert "mapped 0\n  taken\n  serving" in log_tail(modest.log)


def test_the_managers_socket_is_its_owners_alone(paths: SitePaths) -> None:
    one = service(paths, "a")
    write(paths, one)
    start_services(paths, [one], lambda _n, _of: None)
    assert (paths.run / "supervisor.sock").stat().st_mode & 0o777 == 0o700
