"""What the processor names and cannot do: some virtual machines pass on AMX in its list of features, and trap on it.

ggml that was compiled for such a processor is granted the tiles by the kernel, and ends at their first instruction.
"""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

NO_TILES = "-mno-amx-tile -mno-amx-int8 -mno-amx-bf16"
_ASK = """
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(void) {
    if (syscall(SYS_arch_prctl, 0x1023, 18) != 0) return 1;  /* ARCH_REQ_XCOMP_PERM, XTILEDATA */
    _tile_zero(0);
    return 0;
}
"""


def names_tiles(cpuinfo: str) -> bool:
    """Whether the text of /proc/cpuinfo lists AMX's tiles."""
    return any("amx_tile" in line.split() for line in cpuinfo.splitlines() if line.startswith("flags"))


def traps_on_tiles() -> bool:
    """Whether AMX is listed, and a program that uses it does not come to its end. Compiles one with `cc`."""
    if not names_tiles(Path("/proc/cpuinfo").read_text()):
        return False
    with tempfile.TemporaryDirectory(prefix="tiles-") as folder:
        program = Path(folder, "ask")
        argv = ["cc", "-O0", "-mamx-tile", "-x", "c", "-", "-o", str(program)]
        subprocess.run(argv, input=_ASK, text=True, check=True, capture_output=True)
        return subprocess.run([program], check=False, capture_output=True).returncode != 0
