from __future__ import annotations

import subprocess
import sys


def test_the_process_gives_up_new_privileges_and_core_dumps() -> None:
    program = (
        "import ctypes\n"
        "from appliance.engine.hardening import restrict_process\n"
        "restrict_process()\n"
        "print(ctypes.CDLL(None).prctl(39, 0, 0, 0, 0), ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == ["1", "0"]
