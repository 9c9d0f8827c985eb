"""The library that signs the log: known answers of its authors, and processors with and without AVX2.

The answers are AWS-LC's own files (ACVP's key pairs, and signatures of the reference implementation with their
randomness), out of the very sources that the library was compiled from. The library's `getrandom` is ours there.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from airgap_bundle.build.cache import BuildCache
from airgap_bundle.lock import load_lock
from airgap_bundle.release_file import load_release
from tests.engine.emulated import Processor, qemu

PACKAGE = "sovereign-mldsa44"
LOCK = Path(__file__).parents[3] / "sources" / "release.lock"
KNOWN_KEYS, KNOWN_SIGNATURES = "kat/MLDSA_44_ACVP_keyGen.txt", "kat/MLDSA_44_hedged_pure.txt"
SAID_VERSIONS = {  # by component of the SBOM: where the sources say their own
    "aws-lc": ("include/openssl/base.h", r'define AWSLC_VERSION_NUMBER_STRING "([0-9.]+)"'),
    "mldsa-native": ("fipsmodule/ml_dsa/META.yml", r"branch: v([0-9.]+)"),
    "s2n-bignum": ("third_party/s2n-bignum/META.yml", r"commit: ([0-9a-f]{40})"),
}
RANDOM = """
#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>
static unsigned char told[32];
static size_t left;
static int armed, calls;
void fail(void) { armed = 1; left = 0; }
void tell(const unsigned char *bytes) { memcpy(told, bytes, 32); armed = 1; calls = 0; left = 32; }
/* Once armed: is interrupted, then gives a few bytes at a time; the kernel's before, and for Python itself. */
ssize_t getrandom(void *out, size_t length, unsigned flags) {
  if (!armed) return syscall(SYS_getrandom, out, length, flags);
  if (!calls++) { errno = EINTR; return -1; }
  if (left == 0) { errno = EIO; return -1; }
  size_t now = length < 7 ? length : 7;
  memcpy(out, told + 32 - left, now);
  left -= now;
  return (ssize_t)now;
}
"""
ANSWER = """
import ctypes, json, sys
from appliance.audit.mldsa import _functions, installed_library
library, known = ctypes.CDLL(sys.argv[1]), json.load(open(sys.argv[2]))
pair, sign = _functions(installed_library())
wrong = 0
for one in known["keys"]:
    public, private = ctypes.create_string_buffer(1312), ctypes.create_string_buffer(2560)
    done = pair(public, private, bytes.fromhex(one["seed"]))
    wrong += (done, public.raw.hex(), private.raw.hex()) != (0, one["pk"], one["sk"])
for one in known["signatures"]:
    message, context = bytes.fromhex(one["msg"]), bytes.fromhex(one["ctx"])
    library.tell(bytes.fromhex(one["rng"]))
    signature = ctypes.create_string_buffer(2420)
    done = sign(signature, message, len(message), context, len(context), bytes.fromhex(one["sk"]))
    wrong += (done, signature.raw.hex() + one["msg"]) != (0, one["sm"])
print(len(known["keys"]), len(known["signatures"]), wrong)
"""
WITHOUT_RANDOMNESS = """
import ctypes, os, sys
from appliance.audit.mldsa import _functions, installed_library
pair, sign = _functions(installed_library())
ctypes.CDLL(sys.argv[1]).fail()
sign(ctypes.create_string_buffer(2420), b"m", 1, None, 0, bytes(2560))
os._exit(0)
"""
SIGN = """
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from appliance.audit.mldsa import MLDSA44Signer
for seed in range(4):
    key = MLDSA44PrivateKey.from_seed_bytes(bytes([seed]) * 32)
    signer = MLDSA44Signer(key)
    for length in (0, 1, 3000):
        key.public_key().verify(signer.sign(bytes(length)), bytes(length))
print("signed")
"""


def _records(text: str) -> list[dict[str, str]]:
    blocks = (
        dict(line.split(" = ", 1) for line in block.splitlines() if " = " in line) for block in text.split("\n\n")
    )
    return [block for block in blocks if block]


@pytest.fixture(scope="module")
def texts() -> dict[str, str]:
    """Files of the very sources, by the end of their names."""
    recipe = next(recipe for recipe in load_lock(LOCK).compiled if recipe.name == PACKAGE)
    sdist, found = BuildCache.default().path(recipe.sdist), {}
    if not sdist.exists():
        pytest.skip("the builder's cache is cold: `sovereign bundle build --out DIR` fills it in minutes")
    wanted = (KNOWN_KEYS, KNOWN_SIGNATURES, *(file for file, _ in SAID_VERSIONS.values()))
    with tarfile.open(sdist, "r|gz") as archive:
        for member in archive:
            if "/crt/aws-lc/" in member.name and (ending := next(filter(member.name.endswith, wanted), None)):
                found[ending] = archive.extractfile(member).read().decode()
    return found


@pytest.fixture(scope="module")
def known(texts: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Known answers as JSON."""
    keys = [
        {"seed": one["keygen_seed"], "pk": one["keygen_pk"], "sk": one["keygen_sk"]}
        for one in _records(texts[KNOWN_KEYS].lower())
    ]
    path = tmp_path_factory.mktemp("known") / "answers.json"
    path.write_text(json.dumps({"keys": keys, "signatures": _records(texts[KNOWN_SIGNATURES])}))
    return path


@pytest.fixture(scope="module")
def told_random(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("random")
    (folder / "random.c").write_text(RANDOM)
    argv = ["gcc", "-shared", "-fPIC", "-O1", "-o", str(folder / "random.so"), str(folder / "random.c")]
    subprocess.run(argv, check=True, capture_output=True)
    return folder / "random.so"


@pytest.fixture(scope="module")
def emulator() -> Path:
    try:
        return qemu()
    except (OSError, subprocess.SubprocessError) as error:
        pytest.skip(f"NOT TESTED: no other processor can be emulated here ({error})")


def test_the_sbom_has_the_versions_that_the_sources_say(texts: dict[str, str]) -> None:
    (runtime,) = (spec for spec in load_release(LOCK.with_suffix(".yaml")).artifacts if spec.kind == "wheelhouse")
    said = {name: re.search(pattern, texts[file])[1] for name, (file, pattern) in SAID_VERSIONS.items()}
    assert {one.name: one.version for one in runtime.embeds[PACKAGE]} == said


def _environment(**more: str) -> dict[str, str]:
    return {**os.environ, **more}


def test_its_keys_and_signatures_are_the_published_ones_however_the_kernel_gives_randomness(
    known: Path, told_random: Path
) -> None:
    argv = [sys.executable, "-c", ANSWER, str(told_random), str(known)]
    environment = _environment(LD_PRELOAD=str(told_random))
    done = subprocess.run(argv, capture_output=True, text=True, check=False, env=environment, timeout=120)
    assert (done.stdout.split(), done.stderr) == (["25", "100", "0"], "")


@pytest.mark.parametrize("model", ["Nehalem", "Haswell"])
def test_the_published_answers_come_from_processors_with_and_without_avx2(
    known: Path, told_random: Path, emulator: Path, model: str
) -> None:
    """On an older processor one instruction of AVX2 would end the process."""
    argv = Processor(emulator, model).running([sys.executable, "-c", ANSWER, str(told_random), str(known)])
    environment = _environment(LD_PRELOAD=str(told_random))
    done = subprocess.run(argv, capture_output=True, text=True, check=False, env=environment, timeout=300)
    assert done.stdout.split() == ["25", "100", "0"], done.stderr


@pytest.mark.parametrize("model", ["qemu64", "Nehalem", "Haswell"])
def test_an_older_processor_signs_what_cryptography_accepts(emulator: Path, model: str) -> None:
    argv = Processor(emulator, model).running([sys.executable, "-c", SIGN])
    done = subprocess.run(argv, capture_output=True, text=True, check=False, env=_environment(), timeout=300)
    assert done.stdout == "signed\n", done.stderr


def test_without_randomness_there_is_no_signature_and_the_process_ends(told_random: Path) -> None:
    argv = [sys.executable, "-c", WITHOUT_RANDOMNESS, str(told_random)]
    environment = _environment(LD_PRELOAD=str(told_random))
    done = subprocess.run(argv, capture_output=True, text=True, check=False, env=environment, timeout=120)
    assert done.returncode == -6
