"""Zstandard, by the one library that the build environment pins: its version is part of what shapes a layer.

It is imported when first used: a site's environment does without it, and so do builds without images of their own.
"""

from __future__ import annotations

from typing import Any, BinaryIO

from airgap_bundle.errors import BuildError

LEVEL = 10


def _library() -> Any:
    try:
        import zstandard  # noqa: PLC0415 - see the module's docstring
    except ImportError as error:
        raise BuildError(
            "this environment has no zstandard", "build on a connected machine, from the source tree, after `make venv`"
        ) from error
    return zstandard


def version() -> str:
    """What compresses here, exactly."""
    library = _library()
    return f"zstd {'.'.join(map(str, library.ZSTD_VERSION))} level {LEVEL}"


def compressor(sink: BinaryIO) -> Any:
    """A stream that compresses into ``sink``: one thread, fixed level, so that equal bytes give equal bytes."""
    library = _library()
    return library.ZstdCompressor(level=LEVEL, threads=0, write_checksum=True).stream_writer(sink, closefd=False)


class Expansion:
    """Decompression, piece by piece."""

    def __init__(self) -> None:
        self._library = _library()
        self._machine = self._library.ZstdDecompressor(max_window_size=1 << 27).decompressobj()

    def decompress(self, data: bytes, /) -> bytes:
        """What ``data`` adds. Raises ``BuildError`` for damage."""
        try:
            return bytes(self._machine.decompress(data))
        except self._library.ZstdError as error:
            raise BuildError(f"a zstd stream is damaged: {error}") from error
