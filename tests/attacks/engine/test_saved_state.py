"""A saved state of the cache could lie: only what this engine sealed for this model and these tokens is ever restored.

The library's readers of state do not check what they read. None of those that take a file is called anywhere; the one
that takes bytes is called in one place, with what the engine kept in its own memory or what opened under a key that
whoever writes to the file does not have. llama-server has no folder for states
(`tests/unit/engine/llama_server/test_arguments.py`).
"""

from __future__ import annotations

import ast
import errno
import random
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from appliance.engine.job import Owner, Passage
from appliance.engine.kv.arena import BLOCK_BYTES, PLACE_BYTES
from appliance.engine.kv.disk import Disk
from tests.engine.shelves import CLERKS, MASTER, MIB, SITE, put, shelf_at

ENGINE = Path(__file__).parents[3] / "appliance" / "engine"
SOURCES = {path: path.read_text() for path in sorted(ENGINE.rglob("*.py"))}
TEXT = tuple(range(100))
FIRST_BLOCK = 2 * PLACE_BYTES
OFFICERS = Owner("group", "officers")


def readers_of_state() -> set[str]:
    """Functions of the library that read a state, by its own bindings."""
    spec = find_spec("llama_cpp")
    assert spec is not None
    assert spec.origin is not None
    text = Path(spec.origin).with_name("llama_cpp.py").read_text()
    names = set(re.findall(r"^def (llama_\w*(?:state|session)\w*)\(", text, re.MULTILINE))
    return {name for name in names if "set" in name or "load" in name}


def calls(name: str) -> dict[str, int]:
    """How often something called ``name`` is called, by file."""
    found: dict[str, int] = {}
    for path, text in SOURCES.items():
        for node in ast.walk(ast.parse(text)):
            called = node.func if isinstance(node, ast.Call) else None
            if isinstance(called, ast.Attribute) and ast.unparse(called).endswith(f".{name}"):
                found[path.name] = found.get(path.name, 0) + 1
    return found


def read_by(shelf_file: Path, owner: Owner = SITE, **how: bytes) -> bytes | None:
    """What an engine that starts now would restore for ``TEXT``."""
    with shelf_at(shelf_file, **how) as shelf:  # type: ignore[arg-type]  # keys and identities, by name
        kept = shelf.find(TEXT, [Passage(owner, len(TEXT))])
        state = None if kept is None else shelf.load(kept)
        return None if state is None else bytes(state)


@pytest.fixture
def shelf_file(tmp_path: Path) -> Path:
    with shelf_at(tmp_path / "kv") as shelf:
        put(shelf, TEXT, b"what the site's rules made" * 10)
        put(shelf, TEXT, b"what the clerks' rules made" * 10, CLERKS)
    return tmp_path / "kv"


def altered(path: Path, at: int, data: bytes) -> None:
    raw = bytearray(path.read_bytes())
    raw[at : at + len(data)] = data
    path.write_bytes(raw)


def test_31_no_reader_of_saved_states_is_used_but_one_and_what_it_reads_was_kept_or_opened() -> None:
    readers = readers_of_state()
    assert {"llama_state_load_file", "llama_state_seq_load_file", "llama_state_seq_set_data"} <= readers
    used = {name for name in readers if any(name in text for text in SOURCES.values())}
    assert used == {"llama_state_seq_set_data"}
    assert calls("llama_state_seq_set_data") == {"llama.py": 1}
    assert calls("_memory.restore") == {"cell_store.py": 1}
    assert calls("_store.restore") == {"reception.py": 1, "keeping.py": 1}
    assert calls("_shelf.load") == {"keeping.py": 1}


def test_31_any_changed_byte_of_a_state_is_a_miss(shelf_file: Path) -> None:
    whole = shelf_file.read_bytes()
    draw = random.Random(31)
    for _ in range(40):
        at = FIRST_BLOCK + draw.randrange(260)
        altered(shelf_file, at, bytes([whole[at] ^ (1 << draw.randrange(8))]))
        assert read_by(shelf_file) is None
        shelf_file.write_bytes(whole)
    assert read_by(shelf_file) == b"what the site's rules made" * 10


def test_31_any_changed_byte_of_both_lists_is_a_beginning_anew(shelf_file: Path) -> None:
    whole = shelf_file.read_bytes()
    draw = random.Random(32)
    for _ in range(40):
        for place in (0, PLACE_BYTES):
            at = place + draw.randrange(700)
            altered(shelf_file, at, bytes([whole[at] ^ (1 << draw.randrange(8))]))
        assert read_by(shelf_file) in {None, b"what the site's rules made" * 10}
        with shelf_at(shelf_file) as shelf:
            assert put(shelf, TEXT, b"computed again")
        assert read_by(shelf_file) == b"computed again"
        shelf_file.write_bytes(whole)


def test_31_one_groups_state_in_anothers_place_is_a_miss(shelf_file: Path) -> None:
    raw = shelf_file.read_bytes()
    site, clerks = (raw[FIRST_BLOCK + n * BLOCK_BYTES : FIRST_BLOCK + n * BLOCK_BYTES + 4096] for n in (0, 1))
    altered(shelf_file, FIRST_BLOCK, clerks)
    altered(shelf_file, FIRST_BLOCK + BLOCK_BYTES, site)
    assert read_by(shelf_file) is None
    assert read_by(shelf_file, CLERKS) is None


def test_31_an_older_list_names_blocks_that_have_been_used_again_and_opens_none_of_them(shelf_file: Path) -> None:
    old = shelf_file.read_bytes()[:FIRST_BLOCK]
    with shelf_at(shelf_file) as shelf:
        shelf.forget(SITE)
        shelf.forget(CLERKS)
        put(shelf, (7, *TEXT), b"the officers'", OFFICERS)
    altered(shelf_file, 0, old)
    assert read_by(shelf_file) is None
    assert read_by(shelf_file, OFFICERS) is None


def test_31_a_file_of_another_site_or_model_says_nothing(shelf_file: Path) -> None:
    assert read_by(shelf_file, master=bytes(reversed(MASTER))) is None
    assert read_by(shelf_file, identity=bytes(32)) is None


def test_31_what_a_taken_over_engine_holds_opens_and_seals_nothing_of_another_model(tmp_path: Path) -> None:
    """It knows its own key and all public facts; the next model, its adapters or a mended library have other keys."""
    master = bytes(range(32))
    receipts = [
        {"digest": "sha256:one"},
        {"digest": "sha256:two"},
        {"digest": "sha256:one", "adapters": {"formal": {"digest": "sha256:a"}}},
        {"digest": "sha256:one", "adapters": {"formal": {"digest": "sha256:b"}}},
    ]
    keys = [Disk.for_model(0, master, receipt).key for receipt in receipts]
    assert len({master, *keys}) == 5
    with shelf_at(tmp_path / "kv", master=keys[0]) as shelf:
        put(shelf, TEXT, b"poison for whoever comes next")
    for key in keys[1:]:
        assert read_by(tmp_path / "kv", master=key) is None
    assert "key" not in repr(Disk.for_model(0, master, receipts[0]))


def test_a_taken_over_engine_cannot_fill_the_disk(tmp_path: Path) -> None:
    """Its file stays as long as it is: a full disk would stop the log, and with it the site."""
    program = f"""
import os
from pathlib import Path
from appliance.engine.kv.arena import hold_to_size, open_arena
arena = open_arena(Path({str(tmp_path / "kv")!r}), 9)
hold_to_size(arena)
os.pwrite(arena, b"inside", (9 << 20) - 6)
for attempt in (lambda: os.pwrite(arena, b"x", 9 << 20), lambda: os.ftruncate(arena, 1 << 40)):
    try:
        attempt()
    except OSError as refused:
        print(refused.errno)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(errno.EFBIG)] * 2
    assert (tmp_path / "kv").stat().st_size == 9 * MIB


@pytest.mark.parametrize("length", [0, 10, PLACE_BYTES, FIRST_BLOCK, FIRST_BLOCK + 100])
def test_31_a_truncated_file_is_a_miss_and_is_used_on(shelf_file: Path, length: int) -> None:
    shelf_file.write_bytes(shelf_file.read_bytes()[:length])
    assert read_by(shelf_file) is None
    with shelf_at(shelf_file) as shelf:
        assert put(shelf, TEXT, b"computed again")
    assert read_by(shelf_file) == b"computed again"


def test_31_a_head_that_promises_a_huge_list_costs_no_memory(shelf_file: Path) -> None:
    for place in (0, PLACE_BYTES):
        altered(shelf_file, place + 60, b"\xff\xff\xff\xff")
    assert read_by(shelf_file) is None
    assert shelf_file.stat().st_size == 16 * MIB
