"""A small assembler for seccomp's BPF: programs are values, and are built without looking at the machine.

The dialect is the kernel's (seccomp(2), linux/filter.h): 32-bit words, jumps go forward only, every path returns. A
program reads ``struct seccomp_data``: the call's number, the architecture it was made for, its six arguments.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

NUMBER = 0
ARCHITECTURE = 4
_ARGUMENTS = 16

ALLOW = 0x7FFF_0000
KILL_PROCESS = 0x8000_0000
_ERRNO = 0x0005_0000

LOAD = 0x20  # BPF_LD | BPF_W | BPF_ABS
MASK = 0x54  # BPF_ALU | BPF_AND | BPF_K
JUMP_EQUAL = 0x15  # BPF_JMP | BPF_JEQ | BPF_K
JUMP_AT_LEAST = 0x35  # BPF_JMP | BPF_JGE | BPF_K
RETURN = 0x06  # BPF_RET | BPF_K

MAX_INSTRUCTIONS = 4096
_MAX_JUMP = 255


@dataclass(frozen=True)
class Instruction:
    """One instruction; ``yes`` and ``no`` say how many instructions to skip after a comparison."""

    code: int
    value: int
    yes: int = 0
    no: int = 0


Block = tuple[Instruction, ...]


def refuse(errno: int) -> int:
    """The outcome in which the call fails with ``errno``."""
    return _ERRNO | errno


def load(offset: int) -> Instruction:
    """Load a 32-bit word of the call's description."""
    return Instruction(LOAD, offset)


def argument(index: int, *, high: bool = False) -> int:
    """Offset of one half of an argument (little-endian, as every machine here is)."""
    return _ARGUMENTS + 8 * index + 4 * high


def mask(value: int) -> Instruction:
    """Keep the loaded word's bits that ``value`` has."""
    return Instruction(MASK, value)


def give(outcome: int) -> Instruction:
    """End with ``outcome``."""
    return Instruction(RETURN, outcome)


def when_equal(value: int, block: Block) -> Block:
    """``block`` if the loaded word is ``value``; else on to what follows."""
    return (Instruction(JUMP_EQUAL, value, no=len(block)), *block)


def unless_equal(value: int, skipped: int) -> Instruction:
    """Skip ``skipped`` instructions if the loaded word is not ``value``."""
    return Instruction(JUMP_EQUAL, value, no=skipped)


def when_at_least(value: int, block: Block) -> Block:
    """``block`` if the loaded word is ``value`` or more; else on to what follows."""
    return (Instruction(JUMP_AT_LEAST, value, no=len(block)), *block)


def assemble(program: Sequence[Instruction]) -> bytes:
    """The program as ``struct sock_filter[]``. Raises ``ValueError`` for one that the kernel would refuse."""
    if not 0 < len(program) <= MAX_INSTRUCTIONS:
        raise ValueError(f"a program has 1 to {MAX_INSTRUCTIONS} instructions, not {len(program)}")
    for place, instruction in enumerate(program):
        furthest = max(instruction.yes, instruction.no)
        if furthest > _MAX_JUMP or (place + furthest + 1 >= len(program) and instruction.code != RETURN):
            raise ValueError(f"instruction {place} leads out of the program")
    return b"".join(struct.pack("=HBBI", i.code, i.yes, i.no, i.value) for i in program)
