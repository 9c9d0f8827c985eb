"""What a page does behind its face: every request, every console line, every violation of the content policy."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from playwright.sync_api import ConsoleMessage, Page

_LISTEN = """
document.addEventListener("securitypolicyviolation", (event) => {
  console.error(`policy violation: ${event.violatedDirective} ${event.blockedURI}`);
});
"""


@dataclass
class Watch:
    """Collected from the moment of ``watch`` on."""

    origins: set[str] = field(default_factory=set)
    lines: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def strangers(self, *known: str) -> set[str]:
        """Origins that were asked for something and are not among ``known`` addresses."""
        return self.origins - {_origin(url) for url in known}

    def complaints(self) -> list[str]:
        """Console lines and exceptions, but for the browser's own notes on refused requests and other pages' forms."""
        notes = ("Failed to load resource", "Input elements should have autocomplete")
        return [line for line in self.lines if not any(note in line for note in notes)] + self.errors


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def watch(page: Page) -> Watch:
    """Start collecting, by the page's events and, for what never becomes one, by the browser's network log."""
    found = Watch()

    def note_url(url: str) -> None:
        if urlsplit(url).scheme not in {"data", "blob", "about"}:
            found.origins.add(_origin(url))

    def note_line(message: ConsoleMessage) -> None:
        found.lines.append(f"{message.type}: {message.text}")

    def note_request(event: dict[str, Any]) -> None:
        note_url(event["request"]["url"])

    page.add_init_script(_LISTEN)
    page.on("request", lambda request: note_url(request.url))
    page.on("console", note_line)
    page.on("pageerror", lambda error: found.errors.append(str(error)))
    devtools = page.context.new_cdp_session(page)
    devtools.send("Network.enable")
    devtools.on("Network.requestWillBeSent", note_request)
    devtools.on("Network.webSocketCreated", lambda event: note_url(event["url"]))
    return found
