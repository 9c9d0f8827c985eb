"""The page's files: read once at start from the package, served from memory.

A path can only name what was found then, so no request touches the file system and none can leave the folder.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING

from starlette.responses import Response
from starlette.routing import Route

from appliance.gateway.errors import NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from importlib.resources.abc import Traversable

    from starlette.requests import Request

_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
}
INDEX = "index.html"
AUDITOR = "auditor.html"
EXPERT = "expert.html"
MEMORY = "memory.html"
BRIEF = "brief.html"
_REVALIDATE = "no-cache"


@dataclass(frozen=True)
class StaticFile:
    """One file, ready to send."""

    body: bytes
    media_type: str
    etag: str


class StaticFiles:
    """The files by their path under the folder. Files of a kind that is not listed above are not served."""

    def __init__(self, folder: Traversable) -> None:
        self._files = {path: _loaded(path, file) for path, file in _walk(folder, "") if _suffix(path) in _TYPES}

    async def index(self, request: Request) -> Response:
        """GET /."""
        return self._response(request, INDEX)

    async def auditor(self, request: Request) -> Response:
        """GET /auditor: the page that shows the log; what it shows is asked for, and refused, by itself."""
        return self._response(request, AUDITOR)

    async def expert(self, request: Request) -> Response:
        """GET /expert: the page with what people sent to experts; it too asks, and is refused, by itself."""
        return self._response(request, EXPERT)

    async def memory(self, request: Request) -> Response:
        """GET /memory: the page of the hierarchy of memories; it too asks, and is refused, by itself."""
        return self._response(request, MEMORY)

    async def brief(self, request: Request) -> Response:
        """GET /brief: the page of what groups are told overnight; it too asks, and is refused, by itself."""
        return self._response(request, BRIEF)

    async def file(self, request: Request) -> Response:
        """GET /static/PATH."""
        return self._response(request, request.path_params["path"])

    def routes(self) -> list[Route]:
        """Where the files are served."""
        return [
            Route("/", self.index, methods=["GET"]),
            Route("/auditor", self.auditor, methods=["GET"]),
            Route("/expert", self.expert, methods=["GET"]),
            Route("/memory", self.memory, methods=["GET"]),
            Route("/brief", self.brief, methods=["GET"]),
            Route("/static/{path:path}", self.file, methods=["GET"]),
        ]

    def _response(self, request: Request, path: str) -> Response:
        found = self._files.get(path)
        if found is None:
            raise NotFoundError("there is no such file")
        headers = {"ETag": found.etag, "Cache-Control": _REVALIDATE}
        if found.etag in {tag.strip() for tag in request.headers.get("if-none-match", "").split(",")}:
            return Response(status_code=304, headers=headers)
        return Response(found.body, media_type=None, headers={**headers, "Content-Type": found.media_type})


def packaged() -> StaticFiles:
    """The files that ship with this package."""
    return StaticFiles(resources.files("appliance.gateway") / "static")


def _walk(folder: Traversable, prefix: str) -> Iterator[tuple[str, Traversable]]:
    if not folder.is_dir():
        return
    for entry in sorted(folder.iterdir(), key=lambda found: found.name):
        if entry.is_dir():
            yield from _walk(entry, f"{prefix}{entry.name}/")
        else:
            yield prefix + entry.name, entry


def _loaded(path: str, file: Traversable) -> StaticFile:
    body = file.read_bytes()
    return StaticFile(body, _TYPES[_suffix(path)], f'"{hashlib.sha256(body).hexdigest()[:32]}"')


def _suffix(path: str) -> str:
    name = path.rpartition("/")[2]
    return "." + name.rpartition(".")[2] if "." in name else ""
