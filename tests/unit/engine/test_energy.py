"""Joules by the processor's counter where there is one, by declaration where there is none; never half of either."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from appliance.engine.energy import Cost, DeclaredDraw, MeasuredDraw, Watch
from appliance.engine.metering import Meter
from appliance.engine.rapl import open_counters
from appliance.install.energy import open_energy_counters

DECLARED = DeclaredDraw(busy=30, idle=10)
RANGE = 262_143_328_850


def package(root: Path, number: int, microjoules: int) -> Path:
    """A package as sysfs shows it, with a part of it and another kind of zone beside."""
    folder = root / f"intel-rapl:{number}"
    for name in (folder, root / f"intel-rapl:{number}:0", root / "intel-rapl-mmio:0"):
        name.mkdir(parents=True, exist_ok=True)
        (name / "energy_uj").write_text(f"{microjoules}\n")
        (name / "max_energy_range_uj").write_text(f"{RANGE}\n")
        (name / "name").write_text(f"package-{number}\n")
    return folder / "energy_uj"


def test_packages_are_added_and_their_parts_are_not_counted_twice(tmp_path: Path) -> None:
    first, second = package(tmp_path, 0, 1_000_000), package(tmp_path, 1, 5_000_000)
    counters = open_counters(tmp_path)
    assert counters is not None
    assert counters.joules() == 0
    first.write_text("3000000\n")
    second.write_text("5500000\n")
    assert counters.joules() == pytest.approx(2.5)


def test_the_platform_is_not_counted_beside_its_packages(tmp_path: Path) -> None:
    first, platform = package(tmp_path, 0, 0), package(tmp_path, 1, 0)
    platform.with_name("name").write_text("psys\n")
    counters = open_counters(tmp_path)
    assert counters is not None
    first.write_text("2000000\n")
    platform.write_text("9000000\n")
    assert counters.joules() == pytest.approx(2.0)


def test_a_counter_that_begins_again_loses_nothing(tmp_path: Path) -> None:
    file = package(tmp_path, 0, RANGE - 1_000_000)
    counters = open_counters(tmp_path)
    assert counters is not None
    file.write_text("2000000\n")
    assert counters.joules() == pytest.approx(3.0)


@pytest.mark.parametrize("broken", ["", "no number", None])
def test_a_host_with_one_unreadable_package_is_estimated_whole(tmp_path: Path, broken: str | None) -> None:
    package(tmp_path, 0, 1)
    second = package(tmp_path, 1, 1)
    if broken is None:
        second.unlink()
    else:
        second.write_text(broken)
    before = len([*Path("/proc/self/fd").iterdir()])
    assert open_counters(tmp_path) is None
    assert len([*Path("/proc/self/fd").iterdir()]) == before


def test_a_host_without_counters_is_estimated(tmp_path: Path) -> None:
    assert open_counters(tmp_path / "missing") is None
    assert open_counters(tmp_path) is None


def test_what_was_measured_is_above_idle_and_says_so(tmp_path: Path) -> None:
    file = package(tmp_path, 0, 0)
    counters = open_counters(tmp_path)
    assert counters is not None
    draw = MeasuredDraw(counters, 10, DECLARED)
    watch = Watch(draw)
    file.write_text("50000000\n")
    cost = watch.cost()
    assert cost.joules == pytest.approx(50)
    energy = draw.over(2.0, 50.0)
    assert (energy.method, energy.joules, energy.watts, energy.idle_joules) == ("measured", 30.0, 25.0, 20.0)
    assert draw.over(2.0, 5.0).joules == 0


def test_a_step_is_split_by_rows_in_seconds_and_joules() -> None:
    draw = _Counted()
    meters = [Meter(0.0, 8, draw) for _ in range(2)]
    for meter, rows in zip(meters, (1, 3), strict=True):
        meter.step(Cost(4.0, 100.0), rows, 4)
    ends = [meter.end("stop") for meter in meters]
    assert [draw.asked[n] for n in range(2)] == [(1.0, 25.0), (3.0, 75.0)]
    assert all(end.energy.method == "estimated" for end in ends)


def test_a_request_with_one_uncounted_step_is_estimated_whole(tmp_path: Path) -> None:
    package(tmp_path, 0, 0)
    counters = open_counters(tmp_path)
    assert counters is not None
    meter = Meter(0.0, 8, MeasuredDraw(counters, 10, DECLARED))
    meter.step(Cost(1.0, 40.0), 1, 1)
    meter.step(Cost(1.0, None), 1, 1)
    meter.step(Cost(1.0, 40.0), 1, 1)
    assert meter.end("stop").energy == DECLARED.over(3.0)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_counters_are_opened_to_the_services_group_and_to_nobody_else(tmp_path: Path) -> None:
    file = package(tmp_path, 0, 0)
    file.chmod(0o400)
    assert open_energy_counters(12345, tmp_path) == 1
    found = file.stat()
    assert (found.st_uid, found.st_gid, found.st_mode & 0o777) == (0, 12345, 0o440)
    assert open_energy_counters(12345, tmp_path / "missing") == 0


class _Counted:
    """A draw that remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[float, float | None]] = []

    def joules(self) -> float | None:
        return None

    def over(self, seconds: float, joules: float | None, lasting: float) -> object:
        assert lasting >= 0
        self.asked.append((seconds, joules))
        return DECLARED.over(seconds)
