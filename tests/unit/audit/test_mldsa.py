"""What signs checkpoints makes signatures that anybody's ML-DSA-44 accepts, of this key, or makes none."""

from __future__ import annotations

import ctypes
import gc
import importlib.util
import os
import re
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from appliance.audit import mldsa
from appliance.audit.errors import AuditUnavailableError
from appliance.audit.log import TileLog
from appliance.audit.mldsa import MLDSA44Signer, installed_library
from appliance.cli.serve import _STACK_BYTES
from appliance.errors import DeploymentError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.audit.bench import Bench

KEY = MLDSA44PrivateKey.from_seed_bytes(bytes(range(32)))
OLDEST_GLIBC = 28
SIGN_ONE = """
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from appliance.audit.mldsa import MLDSA44Signer
key = MLDSA44PrivateKey.generate()
key.public_key().verify(MLDSA44Signer(key).sign(b"m"), b"m")
"""


@pytest.fixture(scope="module")
def signer() -> MLDSA44Signer:
    return MLDSA44Signer(KEY)


def test_cryptography_accepts_every_signature_whatever_the_message(signer: MLDSA44Signer) -> None:
    messages = [b"", b"\0", bytes(100_000), *(os.urandom(n * 7) for n in range(297))]
    for message in messages:
        KEY.public_key().verify(signer.sign(message), message)


def test_of_any_seed_the_key_is_the_one_that_cryptography_makes() -> None:
    for _ in range(50):
        key = MLDSA44PrivateKey.generate()
        MLDSA44Signer(key)  # compares both public keys, and has a signature verified


def test_signatures_are_hedged_two_of_one_message_differ(signer: MLDSA44Signer) -> None:
    assert len({signer.sign(b"the same") for _ in range(20)}) == 20


def test_threads_sign_side_by_side_with_one_signer(signer: MLDSA44Signer) -> None:
    messages = [os.urandom(500) for _ in range(200)]
    with ThreadPoolExecutor(4) as pool:
        for message, signature in zip(messages, pool.map(signer.sign, messages), strict=True):
            KEY.public_key().verify(signature, message)


def test_the_small_stacks_of_a_services_threads_are_enough(signer: MLDSA44Signer) -> None:
    before = threading.stack_size(_STACK_BYTES // 4)
    try:
        with ThreadPoolExecutor(1) as pool:
            signature = pool.submit(signer.sign, b"m").result()
    finally:
        threading.stack_size(before)
    KEY.public_key().verify(signature, b"m")


def test_the_expanded_key_is_overwritten_with_its_last_user() -> None:
    mine = MLDSA44Signer(KEY)
    memory = mine._private
    assert memory.raw != bytes(len(memory))
    del mine
    gc.collect()
    assert memory.raw == bytes(mldsa.PRIVATE_BYTES)


def test_no_key_is_in_what_a_signer_shows(signer: MLDSA44Signer) -> None:
    assert repr(signer) == "MLDSA44Signer(…)"


def test_without_the_library_no_log_begins_and_the_way_out_is_named(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(DeploymentError, match="lacks the library that signs the log") as caught:
        TileLog(bench.directory, bench.origin, bench.keys)
    assert "sovereign install" in str(caught.value.hint)
    assert not list(bench.directory.glob("*"))


@pytest.mark.parametrize("content", [b"", b"#!/bin/sh\n", b"\x7fELF but nothing else"])
def test_a_file_that_is_no_library_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "lib.so").write_bytes(content)
    with pytest.raises(DeploymentError, match="is not the library that signs the log"):
        MLDSA44Signer(KEY, tmp_path / "lib.so")


def test_another_library_is_refused() -> None:
    with pytest.raises(DeploymentError, match="is not the library that signs the log"):
        MLDSA44Signer(KEY, Path("libc.so.6"))


def other_seed(pair: Callable[..., int], _sign: Callable[..., int]) -> tuple[Callable[..., int], Callable[..., int]]:
    return (lambda public, private, _seed: pair(public, private, bytes(32))), _sign


def no_key(_pair: Callable[..., int], sign: Callable[..., int]) -> tuple[Callable[..., int], Callable[..., int]]:
    return (lambda *_: -1), sign


def zeros(pair: Callable[..., int], _sign: Callable[..., int]) -> tuple[Callable[..., int], Callable[..., int]]:
    return pair, lambda *_: 0


def no_signature(pair: Callable[..., int], _sign: Callable[..., int]) -> tuple[Callable[..., int], Callable[..., int]]:
    return pair, lambda *_: -1


@pytest.mark.parametrize(
    ("broken", "cause"),
    [
        (other_seed, "another public key of the log's seed"),
        (no_key, "makes no key"),
        (zeros, "signatures that cryptography does not accept"),
        (no_signature, "signatures that cryptography does not accept"),
    ],
)
def test_a_library_that_computes_something_else_signs_nothing(
    broken: Callable[..., object], cause: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    functions = mldsa._functions(installed_library())
    monkeypatch.setattr(mldsa, "_functions", lambda _path: broken(*functions))
    with pytest.raises(DeploymentError, match=cause):
        MLDSA44Signer(KEY)


def test_a_signature_that_was_not_made_makes_the_log_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    mine = MLDSA44Signer(KEY)
    monkeypatch.setattr(mine, "_sign", lambda *_: -1)
    with pytest.raises(AuditUnavailableError, match="was not made"):
        mine.sign(b"m")


@pytest.mark.parametrize("said", ["0:0", "~0xffffffffffffffff:~0xffffffffffffffff", "|0xffffffffffffffff", "nonsense"])
def test_what_the_environment_says_of_the_processor_is_not_heard(said: str) -> None:
    """AWS-LC by itself ends a process whose OPENSSL_ia32cap asks for what the processor has not."""
    environment = {**os.environ, "OPENSSL_ia32cap": f"{said}:{said}"}
    # cryptography's OpenSSL reads the variable too, so it is set once that is loaded.
    program = f"import os\nsaid = os.environ.pop('OPENSSL_ia32cap')\n{SIGN_ONE}"
    program = program.replace("key = ", "os.environ['OPENSSL_ia32cap'] = said\nkey = ", 1)
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert b"ia32cap" not in installed_library().read_bytes()


def test_the_library_exports_its_two_functions_and_wants_an_old_c_library_only() -> None:
    def asked(*options: str) -> str:
        argv = ["readelf", "--wide", *options, str(installed_library())]
        return subprocess.run(argv, capture_output=True, text=True, check=True, env={"LC_ALL": "C"}).stdout

    symbols = [line.split() for line in asked("--dyn-syms").splitlines() if re.match(r"\s+\d+:", line)]
    defined = {fields[7] for fields in symbols if len(fields) > 7 and fields[6] != "UND"}
    assert defined == {"sovereign_mldsa44_keypair", "sovereign_mldsa44_sign"}
    assert re.findall(r"\(NEEDED\).*\[(.*)\]", asked("--dynamic")) == ["libc.so.6"]
    assert max(map(int, re.findall(r"GLIBC_2\.(\d+)", asked("--version-info")))) <= OLDEST_GLIBC


def test_nothing_of_the_library_is_writable_and_executable() -> None:
    argv = ["readelf", "--wide", "--segments", "--dynamic", str(installed_library())]
    said = subprocess.run(argv, capture_output=True, text=True, check=True, env={"LC_ALL": "C"}).stdout
    flags = re.findall(r"^\s+(?:LOAD|GNU_STACK)\s.*\s([RWE ]{3})\s+0x\w+$", said, re.MULTILINE)
    assert len(flags) > 2
    assert not [one for one in flags if "W" in one and "E" in one]
    assert "GNU_RELRO" in said
    assert "BIND_NOW" in said
    assert "TEXTREL" not in said


def test_the_library_refuses_a_context_that_the_standard_does_not_allow() -> None:
    pair, sign = mldsa._functions(installed_library())
    public, private, signature = (ctypes.create_string_buffer(size) for size in (1312, 2560, 2420))
    assert pair(public, private, bytes(32)) == 0
    assert sign(signature, b"m", 1, bytes(255), 255, private) == 0
    KEY_OF_ZEROS.public_key().verify(signature.raw, b"m", bytes(255))
    assert sign(signature, b"m", 1, bytes(256), 256, private) != 0
    assert signature.raw == bytes(2420)


KEY_OF_ZEROS = MLDSA44PrivateKey.from_seed_bytes(bytes(32))
