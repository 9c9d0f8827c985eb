"""Required by default, in order, and never silently less: decided without touching this process."""

from __future__ import annotations

import errno
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from appliance.engine.confinement import layers
from appliance.engine.confinement.landlock import View
from appliance.engine.confinement.layers import confine, seal
from appliance.engine.errors import ConfinementError
from appliance.site.layers import LAYERS
from tests.unit.engine.confinement.scripted_kernel import ScriptedKernel

VIEW = View(readable=(Path("/usr/lib"),), own=Path("/run/engine"))
FREE = {"CapPrm": "0", "CapEff": "0", "CapAmb": "0", "Threads": "1"}


@pytest.fixture
def status(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The process as the kernel shows it: an ordinary user's, with one thread."""
    shown = dict(FREE)
    monkeypatch.setattr(layers, "_status", lambda: shown)
    monkeypatch.setattr(layers.os, "geteuid", lambda: 996)
    return shown


@pytest.mark.usefixtures("status")
def test_every_layer_is_set_in_order_and_reported() -> None:
    kernel = ScriptedKernel()
    confinement = confine(VIEW, (), kernel)
    assert kernel.asked == ["no_new_privs", "seccomp", "landlock"]
    assert kernel.views == [VIEW]
    assert confinement.holding == LAYERS
    assert seal(confinement, (), kernel).holding == LAYERS
    assert kernel.asked[-1] == "seccomp"


@pytest.mark.usefixtures("status")
@pytest.mark.parametrize("layer", ["no_new_privs", "seccomp", "landlock"])
def test_a_layer_that_cannot_be_set_ends_the_engine_and_is_named(layer: str) -> None:
    with pytest.raises(ConfinementError, match=layer) as refused:
        confine(VIEW, (), ScriptedKernel(lacks=frozenset({layer})))
    assert refused.value.layer == layer
    assert refused.value.exit_code == 5
    assert "waive-host" in str(refused.value.hint)


@pytest.mark.usefixtures("status")
def test_a_kernel_without_landlock_is_refused_unless_it_is_waived() -> None:
    with pytest.raises(ConfinementError, match="this kernel has no landlock"):
        confine(VIEW, {"seccomp"}, ScriptedKernel(abi=0))
    found = confine(VIEW, {"landlock"}, ScriptedKernel(abi=0))
    assert found.holding == ("unprivileged", "no_new_privs", "seccomp")
    assert found.to_json()[-1] == {
        "name": "landlock",
        "holds": False,
        "detail": "this kernel has no landlock; waived for this host",
    }


@pytest.mark.usefixtures("status")
def test_what_is_waived_is_set_all_the_same_where_the_kernel_can() -> None:
    kernel = ScriptedKernel()
    assert confine(VIEW, {"seccomp", "landlock"}, kernel).holding == LAYERS
    assert kernel.asked == ["no_new_privs", "seccomp", "landlock"]


@pytest.mark.usefixtures("status")
def test_a_waiver_covers_what_the_kernel_lacks_and_not_what_goes_wrong() -> None:
    found = confine(VIEW, {"seccomp"}, ScriptedKernel(lacks=frozenset({"seccomp"})))
    assert "seccomp" not in found.holding
    with pytest.raises(ConfinementError, match="landlock"):
        confine(VIEW, {"landlock"}, ScriptedKernel(lacks=frozenset({"landlock"})))
    with pytest.raises(ConfinementError, match="seccomp"):
        confine(VIEW, {"seccomp"}, ScriptedKernel(lacks=frozenset({"seccomp"}), number=errno.ENOMEM))


@pytest.mark.usefixtures("status")
def test_no_waiver_lets_an_engine_with_a_gpu_lack_seccomp() -> None:
    """It alone takes back what a driver's library may write below ``/proc`` while it starts."""
    view = replace(VIEW, devices=(Path("/dev/nvidia0"),))
    without = ScriptedKernel(lacks=frozenset({"seccomp"}))
    with pytest.raises(ConfinementError, match="seccomp"):
        confine(view, LAYERS, without)
    confined = confine(view, LAYERS, ScriptedKernel())
    with pytest.raises(ConfinementError, match="seccomp"):
        seal(confined, LAYERS, without)
    assert seal(confine(VIEW, LAYERS, without), LAYERS, without).holding == ("unprivileged", "no_new_privs", "landlock")


@pytest.mark.usefixtures("status")
def test_nobody_can_waive_new_privileges() -> None:
    with pytest.raises(ConfinementError):
        confine(VIEW, {"no_new_privs"}, ScriptedKernel(lacks=frozenset({"no_new_privs"})))


@pytest.mark.parametrize("name", ["CapPrm", "CapEff", "CapAmb"])
def test_an_engine_with_a_capability_is_refused_whatever_is_waived(status: dict[str, str], name: str) -> None:
    status[name] = "0000000000200000"
    with pytest.raises(ConfinementError, match=f"capabilities .{name}"):
        confine(VIEW, {"unprivileged"}, ScriptedKernel())


@pytest.mark.usefixtures("status")
def test_root_is_refused_whatever_is_waived(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layers.os, "geteuid", lambda: 0)
    kernel = ScriptedKernel()
    with pytest.raises(ConfinementError, match="runs as root"):
        confine(VIEW, {"unprivileged"}, kernel)
    assert kernel.asked == []


def test_landlock_that_would_miss_a_thread_is_no_landlock(status: dict[str, str]) -> None:
    status["Threads"] = "2"
    kernel = ScriptedKernel()
    with pytest.raises(ConfinementError, match="2 threads run already"):
        confine(VIEW, {"landlock"}, kernel)
    assert kernel.views == []


def test_the_kernel_shows_this_process_and_its_threads() -> None:
    stop = threading.Event()
    before = int(layers._status()["Threads"])
    other = threading.Thread(target=stop.wait)
    other.start()
    try:
        assert int(layers._status()["Threads"]) == before + 1
    finally:
        stop.set()
        other.join()
