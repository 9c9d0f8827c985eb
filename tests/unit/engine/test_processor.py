"""A processor is believed to have tiles only where it lists them; what it can do is tried."""

from __future__ import annotations

from tests.engine.processor import names_tiles

LISTED = "processor\t: 0\nmodel name\t: amx_tile\nflags\t\t: fpu avx512f amx_bf16 amx_tile amx_int8\n"


def test_tiles_are_found_among_the_flags() -> None:
    assert names_tiles(LISTED)


def test_a_name_is_no_flag_and_no_part_of_one() -> None:
    assert not names_tiles(LISTED.replace("amx_bf16 amx_tile amx_int8", "amx_tile_of_another"))
