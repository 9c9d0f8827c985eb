"""Runs in the pod of the log's writer, sent there as text: one state of the log as an archive, to stdout.

Argument: the log's folder. Stdin: its verifier keys, a line each. What it imports is in every release that has
clusters.
"""

from __future__ import annotations

import sys
from pathlib import Path

from appliance.audit.note import VerifierKey
from appliance.audit.stored import read_stored
from appliance.install.backup.contents import write_log


def main() -> None:
    """Write the archive. Raises as ``read_stored``."""
    keys = [VerifierKey.parse(line) for line in sys.stdin.read().splitlines()]
    write_log(read_stored(Path(sys.argv[1]), keys))(sys.stdout.buffer)
    sys.stdout.flush()


if __name__ == "__main__":
    main()
