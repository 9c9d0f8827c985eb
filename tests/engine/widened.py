"""The same model with the same weights in 16 bits each, so that nothing of its arithmetic rounds to eight.

With weights of four to eight bits ggml rounds what they are multiplied with to eight bits as well. Another order of a
sum, in its last digits, then now and then rounds the other way, and some layers later logits differ by tenths; with
wider weights they differ by thousandths. What is left of a difference here is no rounding.
"""

from __future__ import annotations

import os
from pathlib import Path

import gguf
import numpy as np

_HOME = Path.home()  # before any test moves it
_WIDE = frozenset({"F16", "F32"})


def widened(model: Path) -> Path:
    """The file, made once; half a gigabyte for the demonstration's model, whose digest is its file's name."""
    folder = _HOME / ".cache" / "sovereign" / "tools"
    made = folder / f"widened-{model.name[:32]}.gguf"
    if not made.exists():
        folder.mkdir(parents=True, exist_ok=True)
        partial = made.with_suffix(f".{os.getpid()}")
        try:
            write(model, partial)
            partial.rename(made)
        finally:
            partial.unlink(missing_ok=True)
    return made


def write(model: Path, path: Path) -> None:
    """Everything that ``model`` says of itself, and its weights' values as they are, in 16 bits."""
    reader = gguf.GGUFReader(model)
    writer = gguf.GGUFWriter(path, str(reader.fields["general.architecture"].contents()))
    for name, field in reader.fields.items():
        if not name.startswith("GGUF.") and name not in {"general.architecture", "general.file_type"}:
            kind, *inner = field.types
            writer.add_key_value(name, field.contents(), kind, inner[-1] if inner else None)
    for tensor in reader.tensors:
        data = tensor.data
        if tensor.tensor_type.name not in _WIDE:
            data = gguf.quants.dequantize(data, tensor.tensor_type).astype(np.float16)
        writer.add_tensor(tensor.name, data)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
