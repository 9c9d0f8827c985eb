"""One target under atheris: `python -m tests.fuzz.run TARGET CORPUS [libFuzzer options]`."""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(
    include=["airgap_bundle", "appliance.models", "zipfile", "tuf.api", "securesystemslib"]
):
    from tests.fuzz.targets import TARGETS


def main(name: str, corpus: Path, options: list[str]) -> None:
    """Fuzz until a limit among ``options`` is met; libFuzzer ends the process, with 0 when nothing was found."""
    target = TARGETS[name]
    limits = [f"-max_len={target.max_bytes}", "-timeout=10", "-rss_limit_mb=1024", "-print_final_stats=1"]
    atheris.Setup([name, str(corpus), *limits, *options], target.check)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3:])
