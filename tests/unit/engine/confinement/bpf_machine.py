"""What the kernel does with a seccomp program, in a few lines: for asking a filter about calls nobody makes."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_DATA = struct.Struct("<iIQ6Q")  # seccomp(2), struct seccomp_data


def decide(program: bytes, number: int, arguments: Sequence[int] = (), *, architecture: int = 0xC000_003E) -> int:
    """The outcome of ``program`` for a call. Raises ``AssertionError`` for an instruction that seccomp refuses."""
    words = [value & 0xFFFF_FFFF_FFFF_FFFF for value in (*arguments, *[0] * 6)][:6]
    signed = number - (1 << 32) if number >= 1 << 31 else number
    data = _DATA.pack(signed, architecture, 0, *words)
    accumulator, place = 0, 0
    while True:
        code, yes, no, value = struct.unpack_from("=HBBI", program, 8 * place)
        place += 1
        match code:
            case 0x20:
                assert value % 4 == 0
                (accumulator,) = struct.unpack_from("<I", data, value)
            case 0x54:
                accumulator &= value
            case 0x15:
                place += yes if accumulator == value else no
            case 0x35:
                place += yes if accumulator >= value else no
            case 0x06:
                return int(value)
            case _:
                raise AssertionError(f"instruction {code:#x}")
