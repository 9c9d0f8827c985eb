"""A benchmark that is ended leaves no engine behind, in the background too, however often it is told."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from tests.bench.ending import SIGNALS

if TYPE_CHECKING:
    from pathlib import Path

_PROGRAM = """
import subprocess, sys, time
from pathlib import Path
from tests.bench.ending import orderly
orderly()
engine = subprocess.Popen(["sleep", "600"])
try:
    Path(sys.argv[1]).write_text(str(engine.pid))
    time.sleep(600)
except KeyboardInterrupt:
    print("ended")
finally:
    time.sleep(0.3)  # stopping takes a while
    engine.terminate()
    engine.wait()
"""


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_ends_what_was_started_also_where_it_was_to_be_ignored(number: int, tmp_path: Path) -> None:
    said = tmp_path / "pid"
    ignoring = ["sh", "-c", f"trap '' {int(number)}; exec \"$@\"", "sh"]  # as a shell does for `command &`
    argv = [*ignoring, sys.executable, "-c", _PROGRAM, str(said)]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not (said.exists() and said.read_text()) and time.monotonic() < deadline:
        time.sleep(0.02)
    engine = int(said.read_text())
    os.kill(engine, 0)
    process.send_signal(number)
    time.sleep(0.1)
    process.send_signal(number)
    out, _ = process.communicate(timeout=60)
    assert (out, process.returncode) == ("ended\n", 0)
    with pytest.raises(ProcessLookupError):
        os.kill(engine, 0)
