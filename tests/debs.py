"""Small Debian packages, well made or hostile, and a signed archive of them for a real apt to read."""

from __future__ import annotations

import hashlib
import io
import lzma
import subprocess
import tarfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


def member(name: str, data: bytes = b"", **fields: object) -> tuple[tarfile.TarInfo, bytes]:
    """A member of a package's archive; ``fields`` are those of ``TarInfo``."""
    info = tarfile.TarInfo(f"./{name}")
    info.size, info.mode = len(data), 0o644
    for key, value in fields.items():
        setattr(info, key, value)
    return info, data


def folder(name: str, mode: int = 0o755) -> tuple[tarfile.TarInfo, bytes]:
    return member(name, type=tarfile.DIRTYPE, mode=mode)


def link(name: str, target: str) -> tuple[tarfile.TarInfo, bytes]:
    return member(name, type=tarfile.SYMTYPE, linkname=target)


def tar(members: Iterable[tuple[tarfile.TarInfo, bytes]]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for info, data in members:
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def ar(members: Iterable[tuple[str, bytes]]) -> bytes:
    parts = [b"!<arch>\n"]
    for name, data in members:
        parts.append(f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(data):<10}`\n".encode())
        parts.append(data + b"\n" * (len(data) % 2))
    return b"".join(parts)


@dataclass
class SmallDeb:
    """A package; ``members`` are those of its data archive."""

    name: str = "alpha"
    version: str = "1.0-1"
    architecture: str = "amd64"
    depends: str = ""
    members: list[tuple[tarfile.TarInfo, bytes]] = field(default_factory=list)

    @property
    def control(self) -> bytes:
        lines = [f"Package: {self.name}", f"Version: {self.version}", f"Architecture: {self.architecture}"]
        lines += ["Maintainer: builder <builder@example.org>", "Description: small", " and of no use"]
        return "\n".join(lines + ([f"Depends: {self.depends}"] if self.depends else []) + [""]).encode()

    @property
    def file(self) -> str:
        return f"{self.name}_{self.version.split(':')[-1]}_{self.architecture}.deb"

    def data(self) -> bytes:
        return ar(
            [
                ("debian-binary", b"2.0\n"),
                ("control.tar.xz", lzma.compress(tar([member("control", self.control)]))),
                ("data.tar.xz", lzma.compress(tar(self.members))),
            ]
        )

    def write(self, home: Path) -> Path:
        home.mkdir(parents=True, exist_ok=True)
        path = home / self.file
        path.write_bytes(self.data())
        return path


class SignedArchive:
    """A Debian archive in a folder, signed by a key of its own that expires with the test."""

    def __init__(self, root: Path, suite: str = "bookworm") -> None:
        self.root, self.suite = root / "archive", suite
        self._home = root / "gpg"
        self._home.mkdir(parents=True, mode=0o700)
        self.keyring = root / "archive.gpg"
        self._gpg("--quick-gen-key", "archive@example.org", "ed25519", "sign", "0")
        self.keyring.write_bytes(self._gpg("--export", "archive@example.org"))

    def publish(self, *packages: SmallDeb) -> None:
        """Make ``packages`` everything that the archive has; files of earlier ones are gone."""
        pool, index = self.root / "pool", self.root / "dists" / self.suite / "main" / "binary-amd64"
        index.mkdir(parents=True, exist_ok=True)
        for old in pool.glob("*.deb"):
            old.unlink()
        entries = []
        for package in packages:
            data = package.write(pool).read_bytes()
            tail = f"Filename: pool/{package.file}\nSize: {len(data)}\nSHA256: {hashlib.sha256(data).hexdigest()}\n"
            entries.append(package.control.decode() + tail)
        (index / "Packages").write_text("\n".join(entries))
        self.sign()

    def sign(self) -> None:
        dist = self.root / "dists" / self.suite
        index = (dist / "main/binary-amd64/Packages").read_bytes()
        line = f" {hashlib.sha256(index).hexdigest()} {len(index)} main/binary-amd64/Packages\n"
        text = f"Origin: Small\nSuite: {self.suite}\nCodename: {self.suite}\nArchitectures: amd64\nComponents: main\n"
        (dist / "Release").write_text(f"{text}Date: Thu, 01 Jan 2026 00:00:00 UTC\nSHA256:\n{line}")
        (dist / "InRelease").unlink(missing_ok=True)
        self._gpg("--clearsign", "--output", str(dist / "InRelease"), str(dist / "Release"))

    def _gpg(self, *words: str) -> bytes:
        argv = ["gpg", "--homedir", str(self._home), "--batch", "--yes", "--quiet", "--pinentry-mode", "loopback"]
        return subprocess.run([*argv, "--passphrase", "", *words], capture_output=True, check=True).stdout

    def close(self) -> None:
        subprocess.run(["gpgconf", "--homedir", str(self._home), "--kill", "all"], capture_output=True, check=False)
