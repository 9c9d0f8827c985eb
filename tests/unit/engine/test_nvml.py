"""A GPU's joules are its own counter's, and where one of several cannot be read there is no figure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from appliance.engine.nvml import Counters, Together, beside, open_counter
from appliance.engine.steady import Steady

if TYPE_CHECKING:
    import ctypes

LACKING = 3  # NVML_ERROR_NOT_SUPPORTED


class _Library:
    """NVML as far as it is asked; ``codes`` by function."""

    def __init__(self, millijoules: int = 5000, **codes: int) -> None:
        self.millijoules, self.codes, self.asked = millijoules, codes, -1

    def nvmlInit_v2(self) -> int:  # noqa: N802 - NVML's name
        return self.codes.get("init", 0)

    def nvmlDeviceGetHandleByIndex_v2(self, number: ctypes.c_uint, handle: Any) -> int:  # noqa: N802 - NVML's name
        self.asked = number.value
        handle._obj.value = 7
        return self.codes.get("handle", 0)

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: ctypes.c_void_p, drawn: Any) -> int:  # noqa: N802 - as above
        assert handle.value == 7
        drawn._obj.value = self.millijoules
        return self.codes.get("energy", 0)


class _Counted:
    def __init__(self, value: float | None) -> None:
        self._value = value

    def joules(self) -> float | None:
        return self._value


def test_it_counts_what_the_gpu_of_that_number_drew() -> None:
    library = _Library()
    counter = open_counter(2, library)
    assert counter is not None
    assert library.asked == 2
    assert counter.joules() == 5.0
    library.millijoules += 250
    assert counter.joules() == 5.25
    library.codes["energy"] = LACKING
    assert counter.joules() is None


@pytest.mark.parametrize("call", ["init", "handle", "energy"])
def test_without_a_counter_there_is_none(call: str) -> None:
    assert open_counter(0, _Library(**{call: LACKING})) is None
    assert open_counter(0, object()) is None


def test_a_part_of_the_joules_is_no_figure() -> None:
    assert Together(_Counted(1.5), _Counted(2.0)).joules() == 3.5
    assert Together(_Counted(1.5), _Counted(None)).joules() is None


def test_where_the_gpu_is_not_counted_nothing_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("appliance.engine.nvml.open_counter", lambda _number: None)
    assert beside(_Counted(1.0), 0) is None
    gpu: Counters = _Counted(4.0)
    monkeypatch.setattr("appliance.engine.nvml.open_counter", lambda _number: gpu)
    alone = beside(None, 0)
    assert isinstance(alone, Steady)
    assert alone.joules() == 0.0, "joules since it was first read"
    together = beside(_Counted(1.0), 0)
    assert together is not None
    assert together.joules() == 1.0
