"""An engine fits into the memory that its service manager grants, however many threads load its model."""

from __future__ import annotations

import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from appliance.engine.stacks import STACK_BYTES
from appliance.site.served import Model

if TYPE_CHECKING:
    from pathlib import Path

LOAD = """
import os, sys
from appliance.engine.llama import LlamaContext
from appliance.engine.stacks import bound_stacks
bound_stacks()
weights = os.open(sys.argv[1], os.O_RDONLY)
LlamaContext(weights, context_tokens=4096, threads=1, budget_mib=int(sys.argv[2]), slots=int(sys.argv[3])).close()
"""
ASK = """
import ctypes, threading
from appliance.engine.stacks import bound_stacks
bound_stacks()
libc, attributes, size = ctypes.CDLL(None), ctypes.create_string_buffer(64), ctypes.c_size_t()
libc.pthread_self.restype = ctypes.c_ulong
def look():
    libc.pthread_getattr_np(ctypes.c_ulong(libc.pthread_self()), attributes)
    libc.pthread_attr_getstacksize(attributes, ctypes.byref(size))
thread = threading.Thread(target=look)
thread.start()
thread.join()
print(size.value)
"""
BUDGET_MIB, PARALLEL = Model(name="any").memory_mib, Model(name="any").parallel


@pytest.mark.skipif(shutil.which("prlimit") is None, reason="util-linux sets the limit")
def test_a_model_loads_within_the_memory_of_its_service(model_file: Path) -> None:
    bound = ["prlimit", f"--data={BUDGET_MIB * 1024 * 1024}", "--"]
    argv = [*bound, sys.executable, "-c", LOAD, str(model_file), str(BUDGET_MIB), str(PARALLEL)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


def test_every_thread_gets_the_small_stack() -> None:
    done = subprocess.run([sys.executable, "-c", ASK], capture_output=True, text=True, check=True)
    assert int(done.stdout) == STACK_BYTES
