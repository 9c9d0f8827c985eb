"""A folder becomes a pack: ``pack.yaml``, ``glossary.csv``, ``cases.jsonl``. Nothing else may lie there.

Names are fixed, so no file of the folder says which other one is read. Equal folders give equal bytes: nothing of
times, owners or the order of a directory comes in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from airgap_bundle import strict_json
from airgap_bundle.errors import BundleError
from appliance.packs.content import MAX_BYTES, MAX_CASES, Pack, first_of
from appliance.packs.errors import PackError
from appliance.packs.files import read_regular
from appliance.packs.glossary import MAX_BYTES as GLOSSARY_BYTES
from appliance.packs.glossary import read_glossary
from appliance.site.marks import MAX_BYTES as YAML_BYTES
from appliance.site.marks import read_marked

if TYPE_CHECKING:
    from pathlib import Path

PACK, GLOSSARY, CASES = "pack.yaml", "glossary.csv", "cases.jsonl"
_FILES = frozenset({PACK, GLOSSARY, CASES})
_HINT = "docs/guides/packs.md describes the folder"


def build_pack(folder: Path) -> Pack:
    """The pack that ``folder`` describes. Raises ``PackError`` for the first thing that is wrong, by file and line."""
    if not folder.is_dir():
        raise PackError(f"{folder} is no folder", _HINT)
    if odd := sorted(path.name for path in folder.iterdir() if path.name not in _FILES):
        raise PackError(f"{folder}: {odd[0]!a:.80} does not belong into a pack", _HINT)
    said = _described(folder)
    for name in ("glossary", "cases"):
        if name in said:
            raise PackError(f"{folder / PACK}: {name} has a file of its own", _HINT)
    try:
        glossary = read_glossary(_text(folder / GLOSSARY, GLOSSARY_BYTES)) if (folder / GLOSSARY).exists() else []
    except ValueError as error:
        raise PackError(f"{folder / GLOSSARY}: {error}", _HINT) from error
    cases = _cases(folder)
    try:
        return Pack.model_validate(said | {"kind": "pack", "glossary": glossary, "cases": cases})
    except ValidationError as error:
        raise PackError(f"{folder}: {first_of(error)}", _HINT) from error


def _described(folder: Path) -> dict[str, Any]:
    found = read_marked(_text(folder / PACK, YAML_BYTES))
    if found.mistakes:
        raise PackError(f"{folder / PACK}: {found.mistakes[0]}", _HINT)
    if not isinstance(found.value, dict):
        raise PackError(f"{folder / PACK}: fields are expected, such as `schema: 1`", _HINT)
    return found.value


def _cases(folder: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for number, line in enumerate(_text(folder / CASES, MAX_BYTES).split("\n"), start=1):
        if not line.strip():
            continue
        if len(found) >= MAX_CASES:
            raise PackError(f"{folder / CASES}: a pack has {MAX_CASES} cases at most", _HINT)
        try:
            found.append(strict_json.load_object(line.encode()))
        except BundleError as error:
            raise PackError(f"{folder / CASES}:{number}: {error.cause}", "one JSON object a line") from error
    return found


def _text(path: Path, most: int) -> str:
    try:
        return read_regular(path, most).decode("utf-8")
    except OSError as error:
        raise PackError(f"{path}: {(error.strerror or 'cannot be read').lower()}", _HINT) from error
    except UnicodeDecodeError as error:
        raise PackError(f"{path}: byte {error.start} is not UTF-8 text", _HINT) from error
    except ValueError as error:
        raise PackError(f"{path}: {error}", _HINT) from error
