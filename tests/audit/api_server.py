"""A double of Kubernetes' API server that keeps one Lease, with its rule for writes that come too late."""

from __future__ import annotations

import contextlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

PATH = "/apis/coordination.k8s.io/v1/namespaces/sovereign/leases/audit"


class ApiServer:
    """The Lease, and ``reachable``: while it is not, every question is answered 503 and changes nothing.

    ``denies`` is the status of every answer while it is not 0: 401, 403 or 404.
    """

    def __init__(self) -> None:
        self.spec: dict[str, Any] = {}
        self.version = 1
        self.reachable = True
        self.denies = 0
        self.uid = "1"
        self.writes = 0
        self.address = ""
        self._lock = threading.Lock()

    @property
    def holder(self) -> str:
        return str(self.spec.get("holderIdentity") or "")

    def read(self) -> dict[str, Any]:
        with self._lock:
            return {
                "metadata": {"name": "audit", "uid": self.uid, "resourceVersion": str(self.version)},
                "spec": dict(self.spec),
            }

    def write(self, lease: dict[str, Any]) -> bool:
        with self._lock:
            if lease["metadata"]["resourceVersion"] != str(self.version):
                return False
            self.spec, self.version, self.writes = lease["spec"], self.version + 1, self.writes + 1
            return True


class _Quiet(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """Whoever asked was killed."""


@contextlib.contextmanager
def api_server() -> Iterator[ApiServer]:
    """Runs one on a free port."""
    api = ApiServer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(200, api.read()) if self._known() else None

        def do_PUT(self) -> None:
            lease = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if self._known():
                self._answer(200, api.read()) if api.write(lease) else self._answer(409, {})

        def _known(self) -> bool:
            if api.reachable and not api.denies and self.path == PATH:
                return True
            self._answer((api.denies or 404) if api.reachable else 503, {})
            return False

        def _answer(self, status: int, body: dict[str, Any]) -> None:
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    with _Quiet(("127.0.0.1", 0), Handler) as server:
        api.address = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield api
        finally:
            server.shutdown()
            thread.join()
