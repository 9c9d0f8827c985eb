"""llama-server as an engine's process: take the socket, fork the server, give up the rest, serve once it is sealed.

Order: the socket is bound and not listened on; the child is forked while there is one thread and no llama.cpp in the
process, whose libraries have the names of the server's own; this process confines itself (it reads no model, but what
the server says, and keeps sockets, since it opens one for each request); the child says that it is sealed; the model is
loaded; only then is anyone let in. When either process ends, so does the other.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from appliance.engine.confinement.landlock import View, environment
from appliance.engine.confinement.layers import confine
from appliance.engine.errors import ConfinementError, ModelLoadError
from appliance.engine.launch import bound
from appliance.engine.llama_server.arguments import SOCKET_NAME, Shape, arguments
from appliance.engine.llama_server.child import Program, fork
from appliance.engine.memory import require_weights_fit

if TYPE_CHECKING:
    import socket as sockets
    from collections.abc import Collection
    from pathlib import Path

    from appliance.site.served import Model

SLOTS = 4
_REPORT_MAX_BYTES = 65_536


def serve(  # noqa: PLR0913 - as ``appliance.engine.launch.serve``, and the server's own library
    *,
    library: Path,
    weights_fd: int,
    template: str,
    receipt: dict[str, Any],
    record: dict[str, Any],
    config: Model,
    socket: Path,
    clients: frozenset[int],
    waived: Collection[str] = (),
    slots: int = SLOTS,
) -> None:
    """As ``appliance.engine.launch.serve``, with the llama-server in ``library`` (an absolute path) as the engine.

    ``slots`` requests are computed at once, each with ``context_tokens`` of its own. Blocks.
    """
    require_weights_fit(os.fstat(weights_fd).st_size, config.memory_mib)
    private = socket.with_name(SOCKET_NAME)
    private.unlink(missing_ok=True)
    words = arguments(weights_fd, private, Shape(config.context_tokens, slots, config.threads))
    program = Program(library, weights_fd, words, private, config.memory_mib, frozenset(waived))
    with bound(socket) as listener:
        child = fork(program, leave=(listener.fileno(),))
        os.close(weights_fd)
        confine(View(readable=environment(), own=socket.parent), waived)
        try:
            layers = _layers(child)
            from appliance.engine.llama_server import service  # noqa: PLC0415 - it loads a llama.cpp: after the fork

            service.serve(
                child=child,
                private=private,
                listener=listener,
                clients=clients,
                slots=slots,
                template=template,
                described={"record": record, "receipt": receipt, "confinement": layers},
                config=config,
            )
        finally:
            private.unlink(missing_ok=True)


def _layers(child: sockets.socket) -> list[dict[str, Any]]:
    """What confines the server, by its own word. Raises ``ConfinementError``, ``ModelLoadError``. Blocks."""
    line = b""
    while not line.endswith(b"\n"):
        part = child.recv(4096)
        if not part or len(line) > _REPORT_MAX_BYTES:
            raise ModelLoadError("llama-server ended before it was confined", "the engine's log names the reason")
        line += part
    said = json.loads(line)
    if "refused" in said:
        raise ConfinementError(said["layer"], said["refused"])
    layers: list[dict[str, Any]] = said["layers"]
    return layers
