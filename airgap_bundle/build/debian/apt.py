"""Apt, asked about one Debian suite, in a state folder of its own: this machine's packages play no part.

Sources are those that this machine's apt is configured with, as far as they serve the suite; trust is Debian's own
archive keyring, whatever the machine trusts besides. Apt checks the signed Release file, the package index against it,
and every package against the index; we compare each package with the lock once more.
"""

from __future__ import annotations

import re
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from airgap_bundle.build.debian.control import paragraphs
from airgap_bundle.build.process import ProgramError, find_program, run
from airgap_bundle.errors import BuildError, FormatError
from airgap_bundle.locked_packages import LockedPackage

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ARCHITECTURE = "amd64"
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_INSTALLS = re.compile(r"^Inst (?P<name>[a-z0-9][a-z0-9+.-]+)(:\S+)? \((?P<version>\S+) ")
_HINT = "install apt and debian-archive-keyring, on Debian or in a container of it"


@dataclass(frozen=True)
class Source:
    """One line of apt's sources: ``address`` comes from the machine's settings and goes into no file of ours."""

    address: str
    release: str
    component: str


@dataclass(frozen=True)
class Archive:
    """Where a suite is fetched from, and whose signatures count."""

    sources: tuple[Source, ...]
    keyring: Path = KEYRING


def machine_archive(suite: str) -> Archive:
    """What this machine's apt knows of ``suite``. Raises ``BuildError`` when that is nothing."""
    words = "$(RELEASE)\t$(COMPONENT)\t$(REPO_URI)"
    said = run([find_program("apt-get", _HINT), "indextargets", "--format", words, "Created-By: Packages"])
    wanted = {suite, f"{suite}-updates", f"{suite}-security"}
    rows = [line.split("\t") for line in said.splitlines() if line.count("\t") == 2]  # noqa: PLR2004 - three words
    found = {Source(address, release, part) for release, part, address in rows if release in wanted and part == "main"}
    if not any(source.release == suite for source in found):
        raise BuildError(f"this machine's apt has no source for debian {suite}", "add one to /etc/apt/sources.list.d")
    if not KEYRING.exists():
        raise BuildError(f"this machine has no {KEYRING}", _HINT)
    return Archive(tuple(sorted(found, key=lambda item: (item.release, item.address))))


class VanishedError(BuildError):
    """Apt cannot give ``packages`` any more: those that it named, or all of a batch where it named none."""

    def __init__(self, packages: tuple[LockedPackage, ...], error: ProgramError) -> None:
        super().__init__(error.cause, error.hint)
        self.packages = packages


class Apt:
    """An updated apt below ``root``."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def closure(self, names: Sequence[str]) -> list[tuple[str, str]]:
        """Name and version of ``names`` and everything they depend on. Raises ``ProgramError`` for an unknown name."""
        said = self._run("apt-get", "install", "--simulate", "--no-install-recommends", *names)
        matches = (_INSTALLS.match(line) for line in said.splitlines())
        return sorted((match["name"], match["version"]) for match in matches if match)

    def describe(self, wanted: Sequence[tuple[str, str]]) -> list[LockedPackage]:
        """Index entries of ``wanted``, by name. Raises ``BuildError`` when one is missing."""
        said = self._run("apt-cache", "show", *(f"{name}={version}" for name, version in wanted))
        found: dict[tuple[str, str], LockedPackage] = {}
        for entry in paragraphs(said):
            key = (entry.get("Package", ""), entry.get("Version", ""))
            if key in set(wanted):
                found.setdefault(key, _locked(entry))
        missing = [name for name, version in wanted if (name, version) not in found]
        if missing:
            raise BuildError(f"apt describes no {', '.join(missing)}")
        return sorted(found.values())

    def download(self, packages: Sequence[LockedPackage]) -> dict[LockedPackage, Path]:
        """Files of ``packages``; the caller removes each. Raises ``VanishedError`` naming what is not there."""
        folder = self._root / "downloads"
        try:
            self._run("apt-get", "download", *(f"{item.name}={item.version}" for item in packages), cwd=folder)
        except ProgramError as error:
            raise VanishedError(_blamed(packages, error), error) from error
        return {item: folder / _downloaded(item) for item in packages}

    def _run(self, program: str, *words: str, cwd: Path | None = None) -> str:
        argv = [find_program(program, _HINT), f"--config-file={self._root / 'apt.conf'}", "--quiet", *words]
        return run(argv, cwd=cwd, env={"LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"})

    def update(self) -> None:
        """Fetch the signed indexes. Raises ``ProgramError``."""
        self._run("apt-get", "update", "--error-on=any")


@contextmanager
def opened(archive: Archive) -> Iterator[Apt]:
    """An apt of its own over ``archive``; what it fetched is gone at the end."""
    with tempfile.TemporaryDirectory(prefix="sovereign-apt-") as folder:
        root = Path(folder)
        root.chmod(0o755)  # apt's methods run as a user of their own
        for name in ("state/lists/partial", "cache/archives/partial", "downloads"):
            (root / name).mkdir(parents=True)
        (root / "status").write_text("")
        (root / "sources.list").write_text("".join(_line(source, archive.keyring) for source in archive.sources))
        (root / "apt.conf").write_text(_settings(root))
        apt = Apt(root)
        apt.update()
        yield apt


def _downloaded(package: LockedPackage) -> str:
    version = package.version.replace(":", "%3a")
    return f"{package.name}_{version}_{package.architecture}.deb"


def _blamed(packages: Sequence[LockedPackage], error: ProgramError) -> tuple[LockedPackage, ...]:
    """What apt complained about: it quotes the version, or the name that it cannot locate."""
    told = "\n".join(line for line in error.output if line.startswith("E: "))
    found = tuple(item for item in packages if f"'{item.version}' for '{item.name}'" in told)
    found = found or tuple(item for item in packages if told.endswith(f"package {item.name}"))
    return found or tuple(packages)


def _line(source: Source, keyring: Path) -> str:
    return f"deb [arch={ARCHITECTURE} signed-by={keyring}] {source.address} {source.release} {source.component}\n"


def _settings(root: Path) -> str:
    """Apt's own settings, read last: the machine's other ones (a proxy, say) stay in force."""
    values = {
        "Dir::State": f"{root}/state",
        "Dir::State::status": f"{root}/status",
        "Dir::Cache": f"{root}/cache",
        "Dir::Cache::pkgcache": "pkgcache.bin",  # images of Debian switch these off, and every call reads all again
        "Dir::Cache::srcpkgcache": "srcpkgcache.bin",
        "Dir::Etc::sourcelist": f"{root}/sources.list",
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::Etc::preferences": "/dev/null",
        "Dir::Etc::preferencesparts": "/dev/null",
        "APT::Architecture": ARCHITECTURE,
        "APT::Install-Recommends": "false",
        "APT::Get::AllowUnauthenticated": "false",
        "Acquire::AllowInsecureRepositories": "false",
        "Acquire::Languages": "none",
        "Acquire::Retries": "3",
    }
    lists = f'APT::Architectures {{ "{ARCHITECTURE}"; }};\n'
    return "#clear APT::Architectures;\n" + lists + "".join(f'{key} "{value}";\n' for key, value in values.items())


def _locked(entry: dict[str, str]) -> LockedPackage:
    try:
        file = entry["Filename"].rsplit("/", 1)[-1]
        return LockedPackage(
            entry["Package"], entry["Version"], entry["Architecture"], file, entry["SHA256"], int(entry["Size"])
        )
    except (KeyError, ValueError) as error:
        raise FormatError(f"the index entry of {entry.get('Package', 'a package')} lacks {error}") from error
