"""Write every vector anew: `make vectors`. What follows from the same cases is the same bytes, signatures included.

A case that this implementation does not answer as it expects is not written: the run ends with what it answered.
"""

from __future__ import annotations

import base64
import importlib
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from securesystemslib.dsse import Envelope
from securesystemslib.formats import encode_canonical

from tests import signers
from tests.vectors.answer import answer
from tests.vectors.cases.desk import CASES, Case, copy_base, remove_base
from tests.vectors.rules import write_table
from tests.vectors.tree import FILES, describe, dumps, dumps_tree, lay_out, load, vectors

HERE = Path(__file__).parent
MODULES = (
    "medium",
    "documents",
    "content",
    "roots",
    "signers",
    "versions",
    "imports",
    "statements",
    "archives",
    "exchange",
    "packed",
    "contact",
    "models",
    "models_under_roots",
)
PEOPLE = ("architect", "builder", "custodian", "deputy", "outsider", "stranger", "release", "release-2", "other")


def keep_signatures(pool: Path) -> None:
    """Let the signers know every signature that lies in ``pool``: what was signed before is not signed anew."""
    signers.start_keeping()
    known = {key.keyid: key for name in PEOPLE for key in signers.signer(name).public.keys}
    for path in sorted(pool.iterdir()) if pool.is_dir() else ():
        for payload, keyid, sig in _signatures(path.read_bytes()):
            if keyid in known:
                signers.keep(known[keyid], payload, sig)


def _signatures(data: bytes) -> list[tuple[bytes, str, str]]:
    """(payload, key id, hex) of every signature in a TUF file or a statement; none in anything else."""
    try:
        value: Any = json.loads(data)
        if "files" in value:
            return [found for file in value["files"].values() for found in _signatures(base64.b64decode(file))]
        if "payload" in value:
            payload = Envelope(base64.b64decode(value["payload"]), value["payloadType"], {}).pae()
            return [(payload, item["keyid"], base64.b64decode(item["sig"]).hex()) for item in value["signatures"]]
        payload = (encode_canonical(value["signed"]) or "").encode()
        return [(payload, item["keyid"], item["sig"]) for item in value["signatures"]]
    except Exception:  # noqa: BLE001 - most files here are malformed on purpose, in every way there is
        return []


def draft(out: Path) -> int:
    """Write every vector into ``out``, which is empty; the value is how many. Nothing is asked about them."""
    keep_signatures(FILES)
    for module in MODULES:
        importlib.import_module(f"tests.vectors.cases.{module}")
    (out / "files").mkdir()
    for made in CASES:
        _write(made, out)
    remove_base()
    return len(CASES)


def _write(made: Case, out: Path) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        if made.given["operation"] in {"verify", "import"}:
            copy_base(folder)
        site = made.make(folder)
        given = {**made.given, **({} if site is None else {"site": site})}
        verdict = {"verdict": "accepted"} if made.error is None else {"verdict": "refused", "error": made.error}
        place = out / ("valid" if made.error is None else f"invalid/{made.error}") / made.name
        place.mkdir(parents=True)
        text = {"about": made.about, "rules": made.rules, "given": given, "expect": {**verdict, **made.expect}}
        (place / "expect.json").write_text(dumps(text))
        (place / "tree.json").write_text(dumps_tree(describe(folder, out / "files")))


def misses(out: Path) -> list[str]:
    """What this implementation answers otherwise than the vectors in ``out`` expect, in words."""
    found = []
    for vector in vectors(out):
        expect, answered = ask(vector, out / "files")
        if missed := {key: answered.get(key) for key in expect if answered.get(key) != expect[key]}:
            found.append(f"{vector.name}: expected {expect}, missed by {missed}")
    return found


def ask(vector: Path, pool: Path = FILES) -> tuple[dict[str, Any], dict[str, Any]]:
    """What ``vector`` expects, and what this implementation answers."""
    question, tree = load(vector)
    with tempfile.TemporaryDirectory() as scratch:
        lay_out(tree, Path(scratch), pool)
        return question["expect"], answer(question["given"], Path(scratch))


def main() -> int:
    """Draft, ask, and put the draft in the place of what was there; 1 when an answer was not the expected one."""
    with tempfile.TemporaryDirectory(dir=HERE) as scratch:
        count = draft(Path(scratch))
        missed = misses(Path(scratch))
        sys.stderr.writelines(f"{line}\n" for line in missed)
        if missed:
            return 1
        for name in ("files", "valid", "invalid"):
            shutil.rmtree(HERE / name, ignore_errors=True)
            Path(scratch, name).rename(HERE / name)
    write_table()
    sys.stderr.write(f"{count} vectors\n")
    return 0


if __name__ == "__main__":
    os.umask(0o022)
    if len(sys.argv) > 1:  # a draft in an empty folder: what the tests compare with what is here
        draft(Path(sys.argv[1]))
    else:
        sys.exit(main())
