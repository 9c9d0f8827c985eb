"""Loads what Ansible loads by folder: filters and the programs that run on hosts."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import ModuleType

ANSIBLE = Path(__file__).parents[3] / "ansible"


def load(path: str) -> ModuleType:
    """The module in a file below ansible/."""
    source = ANSIBLE / path
    spec = importlib.util.spec_from_file_location(source.stem.replace("-", "_"), source)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
