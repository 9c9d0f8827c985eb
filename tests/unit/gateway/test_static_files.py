from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest
from starlette.applications import Starlette

from appliance.gateway.errors import HttpError
from appliance.gateway.problems import on_http_error
from appliance.gateway.static_files import StaticFiles, packaged

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio


@pytest.fixture
def client(tmp_path: Path) -> httpx.AsyncClient:
    folder = tmp_path / "static"
    (folder / "js").mkdir(parents=True)
    (folder / "index.html").write_text("<p>page</p>")
    (folder / "js" / "main.js").write_text("export {}")
    (folder / "notes.py").write_text("secret")
    (tmp_path / "outside.txt").write_text("secret")
    (folder / ".hidden").write_text("secret")
    app = Starlette(routes=StaticFiles(folder).routes(), exception_handlers={HttpError: on_http_error})
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test")


async def test_files_are_served_with_their_type_and_an_etag(client: httpx.AsyncClient) -> None:
    index = await client.get("/")
    assert index.text == "<p>page</p>"
    assert index.headers["content-type"] == "text/html; charset=utf-8"
    script = await client.get("/static/js/main.js")
    assert script.headers["content-type"] == "text/javascript; charset=utf-8"
    again = await client.get("/static/js/main.js", headers={"If-None-Match": f'"other", {script.headers["etag"]}'})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(
    "path",
    [
        "/static/../outside.txt",
        "/static/%2e%2e/outside.txt",
        "/static/..%2foutside.txt",
        "/static//etc/passwd",
        "/static/js/../../outside.txt",
        "/static/js",
        "/static/",
        "/static/notes.py",
        "/static/.hidden",
        "/static/js/main.js%00",
    ],
)
async def test_no_path_leads_out_of_the_folder_or_to_another_kind_of_file(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path)
    assert answer.status_code == 404
    assert "secret" not in answer.text


async def test_the_package_ships_the_page() -> None:
    assert "index.html" in packaged()._files
