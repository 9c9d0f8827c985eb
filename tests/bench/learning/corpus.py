"""Debian's own manuals in three languages, out of Debian's packages: written and translated by people."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench.claims import tell

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGES = (
    "debian-handbook",
    "debian-policy",
    "debian-reference-en",
    "debian-reference-de",
    "debian-reference-fr",
    "developers-reference",
    "developers-reference-de",
    "developers-reference-fr",
)
ASKED = ("debian-faq", "debian-faq-de", "debian-faq-fr")
"""What people ask, with answers (``people``)."""
KEPT = Path.home() / ".cache" / "sovereign" / "manuals"
_HANDBOOK = "usr/share/doc/debian-handbook/html"
_DEVELOPERS = "usr/share/developers-reference"
LANGUAGES = ("en", "de", "fr")


@dataclass(frozen=True)
class Paper:
    """One file of a manual. Links between files of one ``manual`` lead from a sentence to a section."""

    manual: str
    language: str
    path: Path


def fetched() -> Path:
    """The manuals' files below one folder; fetched by ``apt-get download`` when they are not there yet."""
    return unpacked("tree", PACKAGES)


def unpacked(name: str, packages: tuple[str, ...]) -> Path:
    """The files of ``packages`` in the folder ``name``; fetched when it is not there."""
    tree = KEPT / name
    if not tree.exists():
        part = KEPT / f"{name}.partial"
        part.mkdir(parents=True, exist_ok=True)
        tell(f"fetching {', '.join(packages)}")
        subprocess.run(["apt-get", "download", "--quiet", *packages], cwd=part, check=True, stdout=subprocess.DEVNULL)
        for package in sorted(part.glob("*.deb")):
            subprocess.run(["dpkg-deb", "-x", str(package), str(part / "tree")], check=True)
        (part / "tree").rename(tree)
    return tree


def papers(tree: Path) -> Iterator[Paper]:
    """Every page that is a document, by manual and language."""
    for language, folder in (("en", "en-US"), ("de", "de-DE"), ("fr", "fr-FR")):
        for path in sorted((tree / _HANDBOOK / folder).glob("*.html")):
            if path.name != "index.html":
                yield Paper("handbook", language, path)
        developers = tree / _DEVELOPERS / ("" if language == "en" else language)
        for path in sorted(developers.glob("*.html")):
            if path.name not in {"index.html", "search.html", "genindex.html"}:
                yield Paper("developers", language, path)
        for path in sorted((tree / "usr/share/debian-reference").glob(f"*.{language}.html")):
            if not path.name.startswith("index"):
                yield Paper("reference", language, path)


def printed(tree: Path) -> list[Path]:
    """The manuals that are there as PDF, for the speed of importing pages."""
    return sorted(path for path in (tree / _DEVELOPERS).rglob("*.pdf") if path.is_file())
