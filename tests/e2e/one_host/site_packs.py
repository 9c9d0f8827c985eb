"""Two packs for the journey's site, made and signed by the commands that people use, under the root of the models.

The demonstration's model follows no persona. So the first holds words that it does not know and nothing that must never
fail: it cannot answer worse. The second, its successor, says that it must decline, which it does not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from demo.release import OFFICER
from demo.workspace import sovereign
from tests import packs
from tests.e2e.one_host.second_model import DEPUTY

if TYPE_CHECKING:
    from demo.workspace import Workspace

NAME = "house-words"


def make(workspace: Workspace) -> None:
    """Lay both beside the release, with their signatures."""
    said = packs.fields()
    terms = [one for one in said["cases"] if not one.get("vital")]
    vital = {"id": "must-decline", "question": "Say hello.", "kind": "refusal", "language": "en", "vital": True}
    for number, cases in ((1, terms), (2, [*terms, {**vital, "expected": ["hello"]}])):
        _one(workspace, number, cases)


def _one(workspace: Workspace, number: int, cases: list[dict[str, Any]]) -> None:
    folder = workspace.root / f"pack-{number}"
    about = {"name": NAME, "version": f"{number}.0.0", "number": number, "producer": "sovereign"}
    packs.folder(folder, **about, boundaries=[], cases=cases)
    file = workspace.root / f"{NAME}-{number}.pack"
    sovereign("pack", "build", folder, "--out", file)
    phrase, keys = workspace.passphrase_file("keys"), workspace.keys
    roots = [option for n in (1, 2) for option in ("--root", keys / f"{n}.root.json")]
    for name in (OFFICER, DEPUTY):
        sovereign("pack", "sign", file, "--key", keys / f"{name}.key", *roots, passphrase=phrase)
