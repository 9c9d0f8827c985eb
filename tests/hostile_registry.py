"""A registry on loopback that answers as it is told to: what the real one would never send."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


@dataclass
class Answer:
    """One HTTP answer. ``length`` is what it says its length is; the body may be another, or without end."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | Iterable[bytes] = b""
    length: int | None = None

    def pieces(self) -> Iterator[bytes]:
        return iter([self.body] if isinstance(self.body, bytes) else self.body)


@dataclass(frozen=True)
class Seen:
    """A request as it came."""

    path: str
    authorization: str | None
    range: str | None


class HostileRegistry:
    """Answers by the path's end, each answer once, the last for ever; unknown paths are 404. A context manager."""

    def __init__(self, **answers: list[Answer]) -> None:
        self.answers: dict[str, list[Answer]] = dict(answers)
        self.seen: list[Seen] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def answer(self, path: str) -> Answer:
        listed = next((found for end, found in self.answers.items() if path.endswith(end)), None)
        if listed is None:
            return Answer(404)
        return listed.pop(0) if len(listed) > 1 else listed[0]


def _handler(registry: HostileRegistry) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            registry.seen.append(Seen(self.path, self.headers["Authorization"], self.headers["Range"]))
            found = registry.answer(self.path.partition("?")[0])
            self.send_response(found.status)
            for name, value in found.headers.items():
                self.send_header(name, value)
            length = len(found.body) if found.length is None and isinstance(found.body, bytes) else found.length
            if length is not None:
                self.send_header("Content-Length", str(length))
            self.end_headers()
            try:
                for piece in found.pieces():
                    self.wfile.write(piece)
            except OSError:
                return  # the client has heard enough

        def log_message(self, *_: object) -> None:
            """Quiet."""

    return Handler
