"""The embedding model of many languages on the host: the site file that names it, and what is found by it."""

from __future__ import annotations

import base64
import json
import time
from typing import TYPE_CHECKING, Any

from demo.release import MODEL
from tests.e2e.one_host.conftest import EMBEDDER, SITE_YAML
from tests.e2e.one_host.operating import sovereign
from tests.e2e.one_host.second_model import MULTILINGUAL

if TYPE_CHECKING:
    from lab.host import BareHost

BUNDLE = "/media/stick/multilingual"
VECTORS_SECONDS = 180.0
DESK = "/tmp/languages"
GERMAN = "Wie lange darf ein Gast sein Auto auf dem Hof abstellen?"
INSTALL = ("install", "--config", f"{DESK}/site.yaml")  # the release that is in force: its medium need not come again
_EMBEDDER = f"  - {{name: {EMBEDDER}, context_tokens: 256, memory_mib: 300, threads: 1, disk_mib: 0}}"
_INSTEAD = f"  - {{name: {MULTILINGUAL}, context_tokens: 512, memory_mib: 600, threads: 1, disk_mib: 0}}"
CHANGES = (
    (_EMBEDDER, _INSTEAD),
    (f"models: [{MODEL}, {EMBEDDER}]", f"models: [{MODEL}]"),
    (f"documents: {{model: {EMBEDDER},", f"documents: {{model: {MULTILINGUAL},"),
)


def site_file(host: BareHost, text: str) -> None:
    """Lay a site file with the officers' keys and waivers beside it."""
    told = base64.b64encode(text.encode()).decode()
    host.run(["sh", "-c", f"mkdir -p {DESK} && cp /media/stick/*.pub /media/stick/*.json {DESK}"])
    host.run(["sh", "-c", f"echo {told} | base64 -d > {DESK}/site.yaml"])


def searched(host: BareHost, question: str) -> list[dict[str, Any]]:
    return list(json.loads(sovereign(host, "document", "search", question, "--group", "clerks", "--output", "json")[1]))


def searched_by_meaning(host: BareHost, question: str) -> list[dict[str, Any]]:
    """The same, once the gateway has given all that is found vectors of the site's model; nobody asks it to."""
    deadline = time.monotonic() + VECTORS_SECONDS
    while not (found := searched(host, question)) or any(one["cosine"] is None for one in found):
        assert time.monotonic() < deadline, found
        time.sleep(1)
    return found


def with_multilingual() -> str:
    """The site file with this model in the place of the release's."""
    text = SITE_YAML
    for former, instead in CHANGES:
        assert former in text, former
        text = text.replace(former, instead)
    return text
