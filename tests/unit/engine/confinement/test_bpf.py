from __future__ import annotations

import pytest

from appliance.engine.confinement import bpf
from tests.unit.engine.confinement.bpf_machine import decide

TOO_FAR = tuple(bpf.load(bpf.NUMBER) for _ in range(256))


def test_a_block_runs_when_its_word_fits_and_is_skipped_when_not() -> None:
    program = bpf.assemble(
        [
            bpf.load(bpf.NUMBER),
            *bpf.when_equal(7, (bpf.give(bpf.refuse(1)),)),
            *bpf.when_at_least(100, (bpf.give(bpf.refuse(38)),)),
            bpf.give(bpf.ALLOW),
        ]
    )
    assert [decide(program, number) for number in (6, 7, 8, 99, 100, 5000)] == [
        bpf.ALLOW,
        bpf.refuse(1),
        bpf.ALLOW,
        bpf.ALLOW,
        bpf.refuse(38),
        bpf.refuse(38),
    ]


@pytest.mark.parametrize("high", [False, True])
def test_each_half_of_an_argument_is_its_own_word(*, high: bool) -> None:
    program = bpf.assemble(
        [
            bpf.load(bpf.argument(2, high=high)),
            *bpf.when_equal(9, (bpf.give(bpf.refuse(1)),)),
            bpf.give(bpf.ALLOW),
        ]
    )
    assert decide(program, 0, (0, 0, 9 << (32 if high else 0))) == bpf.refuse(1)
    assert decide(program, 0, (0, 0, 9 << (0 if high else 32))) == bpf.ALLOW


@pytest.mark.parametrize(
    "program",
    [
        (),
        (bpf.load(0),) * (bpf.MAX_INSTRUCTIONS + 1),
        (bpf.load(0),),
        (bpf.Instruction(bpf.JUMP_EQUAL, 1, yes=1), bpf.give(bpf.ALLOW)),
        (bpf.Instruction(bpf.JUMP_EQUAL, 1, no=256), *TOO_FAR, bpf.give(bpf.ALLOW)),
    ],
    ids=["empty", "too long", "without an end", "jumping past the end", "jumping too far"],
)
def test_a_program_that_the_kernel_would_refuse_is_not_assembled(program: tuple[bpf.Instruction, ...]) -> None:
    with pytest.raises(ValueError, match=r"instruction"):
        bpf.assemble(program)
