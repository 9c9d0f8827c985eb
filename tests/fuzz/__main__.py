"""`make fuzz`: every target for SECONDS each, one after the other; the last line is ``N passed, M failed``.

What a target finds is left in `tests/fuzz/found/TARGET/`: mend the reader and commit the file, so that the tests that
run with the others keep trying it. Corpora grow under ~/.cache/sovereign-fuzz and are no part of the repository.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from airgap_bundle.digest import sha256
from tests.fuzz.seeds import FOUND, found
from tests.fuzz.targets import TARGETS

CORPORA = Path.home() / ".cache" / "sovereign-fuzz"


def fuzz(name: str, seconds: int) -> bool:
    """Whether ``name`` found nothing for ``seconds``."""
    corpus, findings = CORPORA / name, FOUND / name
    for folder in (corpus, findings):
        folder.mkdir(parents=True, exist_ok=True)
    for data in (*TARGETS[name].seeds(), *found(name)):
        (corpus / sha256(data).hex).write_bytes(data)
    options = [f"-max_total_time={seconds}", f"-artifact_prefix={findings}/"]
    sys.stderr.write(f"== {name}: {seconds} s\n")
    done = subprocess.run([sys.executable, "-m", "tests.fuzz.run", name, corpus, *options], check=False)
    if not any(findings.iterdir()):
        findings.rmdir()
    return done.returncode == 0


def main(arguments: list[str]) -> int:
    """Command line of the module's docstring; 0 when nothing was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("target", nargs="*", help=f"all when none is named: {', '.join(TARGETS)}")
    parser.add_argument("--seconds", type=int, default=300)
    given = parser.parse_args(arguments)
    if unknown := set(given.target) - set(TARGETS):
        parser.error(f"no target is called {', '.join(sorted(unknown))}")
    passed = [fuzz(name, given.seconds) for name in given.target or TARGETS]
    sys.stdout.write(f"{sum(passed)} passed, {len(passed) - sum(passed)} failed\n")
    return 0 if all(passed) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
