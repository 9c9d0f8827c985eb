"""What is passed off as an export of a later state of a site's log: refused, unless it is all of what was signed."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

import pytest

from appliance.audit.errors import LaterLogError
from appliance.audit.later import read_later
from tests.audit.later import erasure, exported
from tests.audit.later_acts import BEGIN, SIZE, add, as_fifo, as_link, before, change, cut, refused, stripped, without

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from appliance.audit.checkpoint import Checkpoint
    from tests.audit.bench import Bench

__all__ = ["before"]


EXPORTS: dict[str, tuple[Callable[[Path], None], str]] = {
    "another person named in the erasure": (change("entries.jsonl", b"erased-one", b"erased-two"), "not those"),
    "an entry edited that was backed up": (change("entries.jsonl", b'"e299"', b'"f299"'), "not those"),
    "an entry made to look like an erasure that no JSON is": (
        change("entries.jsonl", b'"analysts"', b'"person"}]'),
        "not those",
    ),
    "the last entry cut": (cut("entries.jsonl", 2), "cut"),
    "the last entry gone": (
        lambda folder: (folder / "entries.jsonl").write_bytes(
            b"".join((folder / "entries.jsonl").read_bytes().splitlines(keepends=True)[:-1])
        ),
        "not all of them",
    ),
    "an entry more": (add("entries.jsonl", erasure("erased-two")[1] + b"\n"), "entries follow"),
    "an entry without end": (
        lambda folder: (folder / "entries.jsonl").write_bytes(b"x" * 1_000_000),
        "longer than entries are",
    ),
    "no entries": (without("entries.jsonl"), "cannot be read"),
    "a link in the entries' place": (as_link("entries.jsonl"), "cannot be read"),
    "a FIFO in the entries' place": (as_fifo("entries.jsonl"), "no regular file"),
    "no proof": (without("proof.json"), "cannot be read"),
    "a proof that is none": (lambda folder: (folder / "proof.json").write_bytes(b"[" * 100_000), "malformed"),
    "a proof without hashes": (lambda folder: rewrite(folder, hashes=[]), "does not lead"),
    "another hash": (lambda folder: rewrite(folder, hashes=_other(folder)), "not those"),
    "a short hash": (lambda folder: rewrite(folder, hashes=["AAAA"]), "malformed"),
    "another beginning": (lambda folder: rewrite(folder, first=0, hashes=[]), "not those"),
    "a beginning that is no number": (lambda folder: rewrite(folder, first=True), "malformed"),
    "a beginning before the first": (lambda folder: rewrite(folder, first=-1), "malformed"),
    "the other half's checkpoint stripped": (stripped(1), "no ML-DSA-44 signature"),
}


def rewrite(folder: Path, **fields: object) -> None:
    told = json.loads((folder / "proof.json").read_bytes())
    (folder / "proof.json").write_text(json.dumps(told | fields))


def _other(folder: Path) -> list[str]:
    hashes = json.loads((folder / "proof.json").read_bytes())["hashes"]
    return [base64.b64encode(bytes(32)).decode(), *hashes[1:]]


@pytest.mark.parametrize("attack", EXPORTS)
def test_an_export_that_is_not_wholly_what_was_signed_is_refused(
    bench: Bench, before: Checkpoint, tmp_path: Path, attack: str
) -> None:
    folder = exported(bench, tmp_path / "export", BEGIN - 5)
    assert read_later(folder, vkeys=bench.vkeys, before=before).erased == {"erased-one"}
    act, why = EXPORTS[attack]
    act(folder)
    if "FIFO" in attack:
        with pytest.raises(LaterLogError, match=why):
            read_later(folder, vkeys=bench.vkeys, before=before)
        return
    refused(folder, bench, before, why)


def test_an_export_that_leaves_a_gap_could_hide_an_erasure(bench: Bench, before: Checkpoint, tmp_path: Path) -> None:
    gap = exported(bench, tmp_path / "gap", BEGIN + 1)
    refused(gap, bench, before, "it begins with entry 301, and the backup ends before entry 300")
    short = exported(bench, tmp_path / "short", BEGIN, SIZE - 2)
    refused(short, bench, before, "it ends before entry 599, the last that its checkpoint signs")
    rewrite(short, last=SIZE - 1)
    refused(short, bench, before, "does not lead from its entries|not all of them")
