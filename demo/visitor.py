"""A person at a browser, without the browser: signs in through Keycloak's login form and asks.

Cookies, redirects and the form are the real ones; only the pixels are missing.
"""

from __future__ import annotations

import json
import ssl
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urljoin

import httpx

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class _LoginForm(HTMLParser):
    """Finds where Keycloak's login form posts to."""

    action: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        fields = dict(attrs)
        if tag == "form" and fields.get("id") == "kc-form-login":
            self.action = fields.get("action")


class Visitor:
    """One signed-in person. Use as a context manager: leaving signs out."""

    def __init__(self, url: str, name: str, password: str, ca: Path | None = None) -> None:
        self._http = httpx.Client(
            verify=ssl.create_default_context(cafile=ca) if ca is not None else True,
            base_url=url,
            follow_redirects=True,
            timeout=180,
            trust_env=False,
            event_hooks={"response": [self._treat_loopback_as_secure]},
        )
        self._url = url
        self._sign_in(name, password)
        self.session: dict[str, Any] = self._get("/api/session")
        self._http.headers["X-CSRF-Token"] = self.session["csrf"]
        self._http.headers["Origin"] = url

    def _treat_loopback_as_secure(self, response: httpx.Response) -> None:
        """Send Secure cookies over plain HTTP to loopback, as browsers do (Secure Contexts, section 3.1)."""
        if response.url.host == "127.0.0.1":
            for cookie in self._http.cookies.jar:
                cookie.secure = False

    def _sign_in(self, name: str, password: str) -> None:
        page = self._http.get("/auth/login")
        action = _form_of(page)
        if action is None:
            raise RuntimeError(f"no login form at {page.url} (status {page.status_code})")
        landed = self._http.post(urljoin(str(page.url), action), data={"username": name, "password": password})
        landed.raise_for_status()
        if not str(landed.url).startswith(self._url) or _form_of(landed):  # both may have one origin
            raise RuntimeError(f"sign-in of {name} did not come back to {self._url} but to {landed.url}")

    def _get(self, path: str) -> dict[str, Any]:
        answer = self._http.get(path)
        answer.raise_for_status()
        return dict(answer.json())

    def bring(self, group: str, name: str, data: bytes) -> dict[str, Any]:
        """Bring a document for a group, as the page does. Returns what became of it."""
        answer = self._http.put(f"/api/documents/{group}/{name}", content=data)
        answer.raise_for_status()
        return dict(answer.json())

    def ask(self, question: str, *, documents: bool = False) -> tuple[str, dict[str, Any]]:
        """Ask in a new conversation, from ``documents`` if so. Returns the answer and its receipt.

        Raises ``RuntimeError`` on a problem.
        """
        created = self._http.post("/api/conversations", json={"model": self.session["models"][0]["id"]})
        created.raise_for_status()
        words: list[str] = []
        receipt: dict[str, Any] = {}
        path = f"/api/conversations/{created.json()['id']}/messages"
        with self._http.stream(
            "POST", path, json={"content": question, **({"documents": True} if documents else {})}
        ) as stream:
            stream.raise_for_status()
            for name, data in _events(stream):
                if name == "token":
                    words.append(data["text"])
                elif name == "receipt":
                    receipt = data
                elif name == "problem":
                    raise RuntimeError(f"{data.get('title')}: {data.get('detail')}")
        return "".join(words), receipt

    def conversations(self) -> list[dict[str, Any]]:
        """What the page lists of this person's conversations."""
        return list(self._get("/api/conversations")["conversations"])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        end = self._http.post("/auth/logout").json()["redirect"]
        self._http.get(end)
        self._http.close()


def _form_of(page: httpx.Response) -> str | None:
    """Where the page's login form goes; None where it has none."""
    form = _LoginForm()
    form.feed(page.text)
    return form.action


def _events(stream: httpx.Response) -> Iterator[tuple[str, dict[str, Any]]]:
    """Server-sent events of a response as (name, data) pairs."""
    name = "message"
    for line in stream.iter_lines():
        if line.startswith("event:"):
            name = line[6:].strip()
        elif line.startswith("data:"):
            yield name, json.loads(line[5:])
