"""Sealed files: what was written comes back, whatever its length; what was changed, moved or cut does not open."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airgap_bundle.digest import sha256
from appliance.errors import RefusedError
from appliance.install.backup.sealed import BLOCK_BYTES, SealedReader, SealingWriter

if TYPE_CHECKING:
    from appliance.install.backup.recovery_key import RecoveryKey

SEALED_BLOCK = BLOCK_BYTES + 16
LENGTHS = st.sampled_from([0, 1, BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 1, 3 * BLOCK_BYTES, 3 * BLOCK_BYTES + 7])
# the recovery key is the same for every example: it is opened once, and nothing changes it
same_key = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def sealed(key: RecoveryKey, content: bytes, piece: int = 1 << 20, name: str = "log") -> bytes:
    sink = io.BytesIO()
    writer = SealingWriter(sink, name, [key.recipient])
    for start in range(0, len(content), piece):
        writer.write(content[start : start + piece])
    writer.close()
    return sink.getvalue()


def opened(key: RecoveryKey, data: bytes, name: str = "log") -> bytes:
    header = sha256(data[: data.find(b"\n") + 1])  # as signed: here it is what comes after that is attacked
    return io.BufferedReader(SealedReader(io.BytesIO(data), name, key, header)).read()


@same_key
@given(length=LENGTHS, piece=st.sampled_from([7919, BLOCK_BYTES, 1 << 20]))
def test_content_of_any_length_comes_back(key: RecoveryKey, length: int, piece: int) -> None:
    content = (b"sovereign" * (length // 9 + 1))[:length]
    data = sealed(key, content, piece)
    assert opened(key, data) == content
    assert length < 9 or content[:9] not in data


@same_key
@given(where=st.integers(0, 10**6))
def test_no_changed_byte_opens(key: RecoveryKey, where: int) -> None:
    data = bytearray(sealed(key, bytes(2 * BLOCK_BYTES + 5)))
    data[where % len(data)] ^= 1
    with pytest.raises(RefusedError):
        opened(key, bytes(data))


def test_blocks_cannot_be_cut_off_moved_repeated_or_taken_from_another_file(key: RecoveryKey) -> None:
    content = bytes(range(256)) * (3 * BLOCK_BYTES // 256)
    data, other = sealed(key, content), sealed(key, content)
    start = data.index(b"\n") + 1
    first, second, last = (data[start + n * SEALED_BLOCK : start + (n + 1) * SEALED_BLOCK] for n in range(3))
    foreign = other[other.index(b"\n") + 1 :][:SEALED_BLOCK]
    head = data[:start]
    for changed in (
        head,
        head + first,
        head + first + second,
        head + first + second + last[:-1],
        head + second + first + last,
        head + first + first + second + last,
        head + first + second + last + last,
        head + foreign + second + last,
    ):
        with pytest.raises(RefusedError):
            opened(key, changed)


def test_a_file_under_another_name_or_for_another_key_says_so(key: RecoveryKey) -> None:
    with pytest.raises(RefusedError, match="another name"):
        opened(key, sealed(key, b"x", name="site"))
    data = sealed(key, b"x").replace(key.recipient.fingerprint.encode(), b"sha256:" + b"0" * 64)
    with pytest.raises(RefusedError, match="not sealed to this recovery key"):
        opened(key, data)


@pytest.mark.parametrize("data", [b"", b"{}\n", b"[1]\n", b"\xff\n", b"{" * 100_000, b'{"schema": 1, "name": "log"}\n'])
def test_what_is_no_sealed_file_is_refused(key: RecoveryKey, data: bytes) -> None:
    with pytest.raises(RefusedError):
        opened(key, data)


def test_a_writer_that_failed_leaves_nothing_that_opens(key: RecoveryKey) -> None:
    sink = io.BytesIO()
    writer = SealingWriter(sink, "log", [key.recipient])
    writer.write(bytes(2 * BLOCK_BYTES))
    writer.abandon()
    writer.close()
    with pytest.raises(RefusedError):
        opened(key, sink.getvalue())
