"""A WordPiece vocabulary (`vocab.txt`, one piece a line) in the spelling that llama.cpp's tokenizer expects.

A piece that begins a word carries U+2581 in front, a piece that continues one loses its ``##``; special tokens stay as
they are (llama.cpp, `src/llama-vocab.cpp`, vocabulary type WPM).
"""

from __future__ import annotations

from dataclasses import dataclass

from airgap_bundle.errors import BuildError

WORD_BEGIN = "\u2581"
CONTINUES = "##"
SPECIAL = {"cls": "[CLS]", "sep": "[SEP]", "unk": "[UNK]", "pad": "[PAD]", "mask": "[MASK]"}
NORMAL, UNKNOWN, CONTROL, UNUSED = 1, 2, 3, 5  # llama_token_type
MAX_PIECES = 1 << 20


@dataclass(frozen=True)
class Vocabulary:
    """Tokens in their order, the type of each, and the id of every special token by its role."""

    tokens: tuple[str, ...]
    types: tuple[int, ...]
    special: dict[str, int]


def read_vocabulary(data: bytes) -> Vocabulary:
    """Parse ``data``. Raises ``BuildError`` for a piece that occurs twice, none at all, or a special one that lacks."""
    try:
        pieces = data.decode("utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise BuildError("the vocabulary is not utf-8", "name the file that the producer published") from error
    if pieces and not pieces[-1]:
        pieces.pop()
    if not 0 < len(pieces) <= MAX_PIECES or len(set(pieces)) != len(pieces):
        raise BuildError("the vocabulary is empty, too long, or names a piece twice")
    ids = {piece: number for number, piece in enumerate(pieces)}
    missing = [piece for piece in SPECIAL.values() if piece not in ids]
    if missing:
        raise BuildError(f"the vocabulary lacks {', '.join(missing)}")
    special = {role: ids[piece] for role, piece in SPECIAL.items()}
    types = tuple(_type(piece) for piece in pieces)
    tokens = tuple(_token(piece, kind) for piece, kind in zip(pieces, types, strict=True))
    return Vocabulary(tokens, types, special)


def _type(piece: str) -> int:
    if piece == SPECIAL["unk"]:
        return UNKNOWN
    if piece in SPECIAL.values():
        return CONTROL
    return UNUSED if piece.startswith("[unused") and piece.endswith("]") else NORMAL


def _token(piece: str, kind: int) -> str:
    if kind != NORMAL:
        return piece
    return piece.removeprefix(CONTINUES) if piece.startswith(CONTINUES) else WORD_BEGIN + piece
