"""The filter's program against the rules that it was made of: for any call with any arguments they decide alike."""

from __future__ import annotations

import errno
from functools import cache

from hypothesis import given
from hypothesis import strategies as st

from appliance.engine.confinement import bpf
from appliance.engine.confinement.filters import Stage, permits, program
from appliance.engine.confinement.syscalls import ARCHITECTURES, NEWEST
from tests.unit.engine.confinement.bpf_machine import decide

PID = 4711
CONDITIONAL = sorted({p.call for p in permits("serving", PID) if p.alternatives} | {"socket", "connect", "bind"})
WORDS = st.one_of(
    st.sampled_from(
        [
            0,
            1,
            2,
            4,
            10,
            PID,
            0o100,
            0o2000000,
            0x3D0F00,
            0x5401,
            0x5412,
            0xC020_462A,
            0x3000_0001,
            0x5356_4D41,
            1 << 32,
            (1 << 64) - 1,
        ]
    ),
    st.integers(0, (1 << 64) - 1),
)


@cache
def _program(machine: str, stage: Stage, *, gpu: bool) -> bytes:
    return bpf.assemble(program(stage, ARCHITECTURES[machine], NEWEST, PID, gpu=gpu))


def _ruled(machine: str, stage: Stage, number: int, arguments: list[int], *, gpu: bool) -> int:
    """What the rules say, read as a person reads them."""
    architecture = ARCHITECTURES[machine]
    if architecture.foreign is not None and number >= architecture.foreign:
        return bpf.KILL_PROCESS
    named = next((name for name, value in architecture.numbers.items() if value == number), None)
    if number > NEWEST or named in {"clone3", "openat2"}:
        return bpf.refuse(errno.ENOSYS)
    for permit in permits(stage, PID, gpu=gpu):
        if permit.call == named:
            ways = [all(arguments[t.argument] & t.mask == t.value for t in way) for way in permit.alternatives]
            return bpf.ALLOW if any(ways) or not permit.alternatives else bpf.refuse(errno.EPERM)
    return bpf.refuse(errno.EPERM)


@given(
    st.sampled_from(sorted(ARCHITECTURES)),
    st.sampled_from(["preparing", "serving"]),
    st.one_of(st.sampled_from(CONDITIONAL), st.integers(0, 600), st.integers(0, (1 << 32) - 1)),
    st.lists(WORDS, min_size=6, max_size=6),
    st.booleans(),
)
def test_program_and_rules_decide_alike(
    machine: str,
    stage: Stage,
    call: str | int,
    arguments: list[int],
    gpu: bool,  # noqa: FBT001 - drawn
) -> None:
    architecture = ARCHITECTURES[machine]
    number = architecture.numbers.get(call, 0) if isinstance(call, str) else call
    found = decide(_program(machine, stage, gpu=gpu), number, arguments, architecture=architecture.audit)
    assert found == _ruled(machine, stage, number, arguments, gpu=gpu)
