"""The Go client as it is asked here: which it is, and an environment in which nobody's settings shape the result."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING

from airgap_bundle.build.process import find_program, run
from airgap_bundle.errors import BuildError

if TYPE_CHECKING:
    from collections.abc import Sequence

INSTALLED = "/usr/local/go/bin"
OLDEST = (1, 26)
PLATFORM = {"GOOS": "linux", "GOARCH": "amd64", "GOAMD64": "v1"}
_VERSION = re.compile(r"go(?P<major>[0-9]+)\.(?P<minor>[0-9]+)\S*")


def go_program() -> str:
    """The Go client, from PATH or where its own archive unpacks. Raises ``BuildError`` where there is none."""
    found = shutil.which("go") or shutil.which("go", path=INSTALLED)
    if found is None:
        raise BuildError(
            "this machine has no go: the cluster's programs are compiled from their modules",
            f"install go {OLDEST[0]}.{OLDEST[1]} or newer (its own archive; Debian 12 has an older one)",
        )
    return found


def go_version() -> str:
    """This machine's Go, as `go1.26.8`. Raises ``BuildError`` when it is too old."""
    said = run([go_program(), "env", "GOVERSION"], env={"GOTOOLCHAIN": "local"}).strip()
    match = _VERSION.fullmatch(said)
    if match is None or (int(match["major"]), int(match["minor"])) < OLDEST:
        raise BuildError(f"this machine's go is {said or 'unknown'}", f"install go {OLDEST[0]}.{OLDEST[1]} or newer")
    return said


def go_environment(toolchain: str, *, cgo: bool) -> dict[str, str]:
    """Environment of a compilation by exactly ``toolchain``, which Go fetches as a module where it is not installed.

    Where modules come from stays the builder's own setting; whatever comes must match `go.sum`.
    """
    return {
        **PLATFORM,
        "GOTOOLCHAIN": toolchain,
        "GOWORK": "off",
        "GOFLAGS": "",
        "GOEXPERIMENT": "",
        "GODEBUG": "",
        "CGO_ENABLED": "1" if cgo else "0",
        "CGO_CFLAGS": "-O2",
        "CGO_LDFLAGS": "",
        "CC": "gcc",
        "LC_ALL": "C",
        "SOURCE_DATE_EPOCH": "0",
    }


def c_compiler(libraries: Sequence[str]) -> str:
    """What takes part in a compilation with C, by exact versions. Raises ``BuildError`` for what is missing."""
    hint = "install gcc, binutils, pkg-config and the library's development package"
    tools = [[find_program(name, hint), "--version"] for name in ("gcc", "ld")]
    found = [_first_line(argv) for argv in tools]
    config = find_program("pkg-config", hint)
    for library in libraries:
        try:
            found.append(f"{library} {_first_line([config, '--modversion', library])}")
        except BuildError as error:
            raise BuildError(f"this machine has no {library} to link", f"install {library}-dev") from error
    return "; ".join(found)


def _first_line(argv: list[str]) -> str:
    return run(argv, env={"LC_ALL": "C"}).splitlines()[0].strip()
