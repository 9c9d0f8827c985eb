"""Drive a reader of sovereign bundles through `tests/vectors`: `python -m tests.conformance [--command PROGRAM]`.

Standard library only, and nothing of this project is imported: the vectors' own form is in `tests/vectors/README.md`.
The last line is ``N passed, M failed``; the exit code is 0 when none failed.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

VECTORS = Path(__file__).parent / "vectors"
OWN = [sys.executable, "-m", "tests.vectors.answer"]
MAX_SECONDS = 60


def lay_out(vector: Path, folder: Path) -> None:
    """Make the files of ``vector`` under ``folder``, which exists; a released bundle lies there as it is."""
    if not (vector / "tree.json").exists():
        shutil.copytree(vector, folder, dirs_exist_ok=True)
        return
    for entry in json.loads((vector / "tree.json").read_text()):
        path = folder / entry["path"]
        path.parent.mkdir(parents=True, exist_ok=True)
        if "folder" in entry:
            path.mkdir()
        elif "fifo" in entry:
            os.mkfifo(path)
        elif "link" in entry:
            path.symlink_to(entry["link"])
        else:
            text, pool = entry.get("text"), VECTORS / "files"
            path.write_bytes((pool / entry["file"]).read_bytes() if text is None else text.encode())
            if "size" in entry:
                os.truncate(path, entry["size"])


def ask(command: list[str], vector: Path) -> str | None:
    """What is wrong with the answer of ``command`` to ``vector``; None when nothing is."""
    question = json.loads((vector / "expect.json").read_text())
    with tempfile.TemporaryDirectory() as scratch:
        given, folder = Path(scratch, "given.json"), Path(scratch, "files")
        given.write_text(json.dumps(question["given"]))
        folder.mkdir()
        lay_out(vector, folder)
        argv = [*command, str(given), str(folder)]
        try:
            done = subprocess.run(argv, capture_output=True, timeout=MAX_SECONDS, check=False)
            answer: dict[str, Any] = json.loads(done.stdout)
        except subprocess.TimeoutExpired:
            return f"no answer in {MAX_SECONDS} seconds"
        except ValueError:
            return f"no JSON on stdout; stderr ends {done.stderr[-200:]!r}"
    missed = [
        f"{key} is {answer.get(key)!r}, expected {value!r}"
        for key, value in question["expect"].items()
        if answer.get(key) != value
    ]
    return "; ".join(missed) or None


def main(arguments: list[str]) -> int:
    """Ask about every vector, as many at a time as there are cores; misses go to stderr as they come."""
    parser = argparse.ArgumentParser(prog="python -m tests.conformance", description=__doc__)
    parser.add_argument("--command", type=shlex.split, default=OWN, help="the program to ask, with its arguments")
    parser.add_argument("--only", default="", metavar="TEXT", help="vectors whose path contains this")
    given = parser.parse_args(arguments)
    found = [path.parent for path in sorted(VECTORS.glob("*/**/expect.json"))]
    vectors = [path for path in found if given.only.lower() in str(path.relative_to(VECTORS)).lower()]
    failed = 0
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for vector, missed in zip(vectors, pool.map(lambda path: ask(given.command, path), vectors), strict=True):
            if missed is not None:
                failed += 1
                sys.stderr.write(f"{vector.relative_to(VECTORS)}: {missed}\n")
    sys.stdout.write(f"{len(vectors) - failed} passed, {failed} failed\n")
    return 1 if failed or not vectors else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
