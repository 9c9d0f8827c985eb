"""llama-server as an engine's process: take the socket, fork the server, give up the rest, serve once it is sealed.

Order: the socket is bound and not listened on; the child is forked while there is one thread and no llama.cpp in the
process; this process confines itself (it reads no model, but what the server says, and keeps sockets, since it opens
one for each request); the child lets the model pass the gate, confines and seals itself, and says so; the model is
loaded; only then is anyone let in. When either process ends, so does the other.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from appliance.engine.confinement.landlock import View, environment
from appliance.engine.confinement.layers import confine
from appliance.engine.errors import ConfinementError, ModelLoadError
from appliance.engine.launch import bound
from appliance.engine.llama_server.arguments import SOCKET_NAME, Shape
from appliance.engine.llama_server.child import Program, fork
from appliance.errors import DeploymentError, RefusedError, SovereignError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from pathlib import Path
    from typing import BinaryIO

    from appliance.engine.llama_server.child import Opened
    from appliance.site.served import Model

_REPORT_MAX_BYTES = 1 << 22
_BY_EXIT: dict[int, type[SovereignError]] = {kind.exit_code: kind for kind in (UsageError, RefusedError)}


def serve(  # noqa: PLR0913 - what a process needs to begin, named at the one call
    *,
    gate: Callable[[], Opened],
    config: Model,
    socket: Path,
    clients: frozenset[int],
    waived: Collection[str] = (),
    library: Path | None = None,
) -> None:
    """As ``appliance.engine.launch.serve``, with llama-server as the engine of what ``gate`` lets pass.

    ``gate`` is called in the process that loads the model, with one thread and before that is confined; it may confine
    that process itself. ``library`` (an absolute path) is another llama-server than the wheel's. ``config.slots``
    requests are computed at once, each with ``context_tokens`` of its own. Raises also what ``gate`` does, as
    ``UsageError``, ``RefusedError`` or ``DeploymentError``. Blocks.
    """
    private = socket.with_name(SOCKET_NAME)
    private.unlink(missing_ok=True)
    shape = Shape(config.context_tokens, config.slots, config.threads)
    program = Program(gate, shape, private, config.memory_mib, frozenset(waived), library)
    with bound(socket) as listener:
        child = fork(program, leave=(listener.fileno(),))
        confine(View(readable=environment(), own=socket.parent), waived)
        try:
            with child.makefile("rb") as said:
                opened = _report(said, "llama-server ended before it was confined")
                layers = _report(said, "llama-server refuses the model file")["layers"]
            from appliance.engine.llama_server import service  # noqa: PLC0415 - it loads a llama.cpp: after the fork

            service.serve(
                child=child,
                private=private,
                listener=listener,
                clients=clients,
                template=opened.pop("template"),
                described={**opened, "program": "llama-server", "confinement": layers},
                config=config,
            )
        finally:
            private.unlink(missing_ok=True)


def _report(child: BinaryIO, ended: str) -> dict[str, Any]:
    """The child's next line. Raises ``ModelLoadError`` where it ``ended``, and what it says that it refuses."""
    line = child.readline(_REPORT_MAX_BYTES)
    if not line.endswith(b"\n"):
        raise ModelLoadError(ended, "the engine's log names the reason")
    said: dict[str, Any] = json.loads(line)
    if "refused" not in said:
        return said
    if "layer" in said:
        raise ConfinementError(said["layer"], said["refused"])
    raise _BY_EXIT.get(said["exit_code"], DeploymentError)(said["refused"], said["hint"])
