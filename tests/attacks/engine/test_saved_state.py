"""A saved state of the cache could lie: whatever an engine restores, it has written itself, in its own memory.

The library's readers of state do not check what they read. None of those that take a file is called anywhere; the one
that takes bytes is called with what `save` gave, in one place. llama-server has no folder for states
(`tests/unit/engine/llama_server/test_arguments.py`).
"""

from __future__ import annotations

import ast
import re
from importlib.util import find_spec
from pathlib import Path

ENGINE = Path(__file__).parents[3] / "appliance" / "engine"
SOURCES = {path: path.read_text() for path in sorted(ENGINE.rglob("*.py"))}


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


def test_31_no_reader_of_saved_states_is_used_but_the_one_for_the_engines_own_memory() -> None:
    readers = readers_of_state()
    assert {"llama_state_load_file", "llama_state_seq_load_file", "llama_state_seq_set_data"} <= readers
    used = {name for name in readers if any(name in text for text in SOURCES.values())}
    assert used == {"llama_state_seq_set_data"}
    assert calls("llama_state_seq_set_data") == {"llama.py": 1}


def test_31_what_is_restored_was_saved_by_the_same_process_and_passes_through_no_file() -> None:
    for name in ("save", "restore"):
        assert calls(f"_memory.{name}") == {"cell_store.py": 1}
    keeper = next(text for path, text in SOURCES.items() if path.name == "cell_store.py")
    reached = {node.id for node in ast.walk(ast.parse(keeper)) if isinstance(node, ast.Name)}
    assert not reached & {"open", "Path", "os", "mmap", "socket", "pickle"}
