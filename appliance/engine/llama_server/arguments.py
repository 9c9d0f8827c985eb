"""How llama-server is told to be an engine and nothing else. Pure.

It takes settings from three places, the later ones winning: configuration files, the environment, and arguments. The
environment is emptied and the files lie where a confined process cannot read, so that what is listed here is all there
is. What is not needed is named off even where it is off by default: a default may change with the next version.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

SOCKET_NAME = "llama.sock"
"""llama-server takes a host for a path only where it ends so."""

_SILENCE_S = 3600
_ERRORS_ONLY = 1
_CLOSED = (
    ("--offline",),  # a model's name is never looked up
    ("--no-ui",),
    ("--no-slots",),  # what other requests hold could be read there
    ("--no-agent",),  # tools on the host, and a proxy
    ("--no-mmproj",),
    ("--no-jinja",),  # templates are rendered by the sandbox of this side
    ("--chat-template", "chatml"),  # so the model's own is not even parsed
    ("--cors-origins", "localhost"),
)
_FORGETFUL = (
    ("--no-cache-prompt",),  # nobody's prompt is ever the beginning of another's
    ("--cache-ram", "0"),
    ("--no-cache-idle-slots",),
    ("--cache-reuse", "0"),
    ("--ctx-checkpoints", "0"),
    ("--slot-prompt-similarity", "0"),
    ("--no-context-shift",),
)
_PLAIN = (("--device", "none"), ("--fit", "off"), ("--load-mode", "mmap"), ("--check-tensors",))


@dataclass(frozen=True)
class Shape:
    """How large the server is: ``context_tokens`` for each of ``slots`` requests at once, computed by ``threads``."""

    context_tokens: int
    slots: int
    threads: int


def arguments(model_fd: int, socket: Path, shape: Shape) -> tuple[str, ...]:
    """The argument list, the program's name first.

    The model is named as the descriptor that was verified; under landlock that name leads to this one file. Every slot
    has cells of its own (no unified cache), so that a long request cannot take the room of others in the middle of
    their answers. ``socket`` must end in ``.sock``.
    """
    if socket.suffix != ".sock":
        raise ValueError("llama-server listens on a Unix socket only where its path ends in .sock")
    sizes = (
        ("--ctx-size", str(shape.context_tokens * shape.slots)),
        ("--parallel", str(shape.slots)),
        ("--no-kv-unified",),
        ("--threads", str(shape.threads)),
        ("--threads-batch", str(shape.threads)),
        ("--threads-http", str(shape.slots + 2)),
        ("--timeout", str(_SILENCE_S)),
        ("--sse-ping-interval", "-1"),
        ("--log-verbosity", str(_ERRORS_ONLY)),
    )
    where = (("--model", f"/proc/self/fd/{model_fd}"), ("--host", str(socket)))
    return ("llama-server", *(word for part in (*where, *sizes, *_CLOSED, *_FORGETFUL, *_PLAIN) for word in part))
