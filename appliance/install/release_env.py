"""The release's Python environment, made from its wheelhouse and nothing else.

``uv`` comes out of its own verified wheel. It sees a folder of links named like wheels, no index, no network, no
configuration file, and installs only what the release's hash-locked list names.
"""

from __future__ import annotations

import platform
import shutil
import stat
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from airgap_bundle.errors import FormatError
from airgap_bundle.first_contact import program
from appliance.errors import DeploymentError, PreflightError
from appliance.install.process import NOBODY, PATH, run, succeeds

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airgap_bundle.store import Artifact, StoredFile

REQUIREMENTS = "requirements.txt"
PYTHON_VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
PYTHON_NAME = f"python{PYTHON_VERSION}"


def candidate_pythons() -> tuple[Path, ...]:
    """Interpreters of the running version: this one's base first, then the system's."""
    base = Path(getattr(sys, "_base_executable", None) or sys.executable).resolve()
    return (base, *(Path(folder, PYTHON_NAME) for folder in ("/usr/bin", "/usr/local/bin")))


def reachable_by_others(path: Path) -> bool:
    """Whether a user without rights of its own may open ``path``: every folder above may be searched by all."""
    real = path.resolve()
    try:
        folders = all(p.stat().st_mode & stat.S_IXOTH for p in real.parents)
        return folders and bool(real.stat().st_mode & stat.S_IROTH)
    except OSError:
        return False


def choose_python() -> Path | None:
    """The interpreter for the environment: the first that a user without any rights can run, where we are root.

    It is run, not only looked at: its libraries may lie where service users cannot go.
    """
    for python in candidate_pythons():
        if python.is_file() and succeeds([str(python), "-I", "-c", "import ssl, ctypes"], account=NOBODY):
            return python
    return None


def host_glibc() -> tuple[int, int] | None:
    """Version of the C library that this process runs on; None where it is another one."""
    name, version = platform.libc_ver()
    major, _, minor = version.partition(".")
    return (int(major), int(minor)) if name == "glibc" and minor.isdigit() else None


def check_fits(wheelhouse: Artifact, python: str, glibc: tuple[int, int] | None) -> None:
    """Raise ``PreflightError`` unless the release was built for this CPython ("3.11") and this glibc.

    What the signed wheelhouse says counts; the rules of preflight only know what releases usually need.
    """
    pythons, needed = wheelhouse.config["python"], wheelhouse.config["glibc"]
    if python not in pythons:
        raise PreflightError(
            f"this release serves CPython {', '.join(pythons)}; sovereign runs on {python}",
            "run sovereign with one of these, or ask for a release that is built for yours",
        )
    if glibc is None or glibc < tuple(int(part) for part in needed.split(".")):
        has = "no glibc" if glibc is None else f"glibc {glibc[0]}.{glibc[1]}"
        raise PreflightError(
            f"this release needs glibc {needed} or newer; this host has {has}",
            "use a newer distribution, or ask for a release that is built on an older one",
        )


def build_environment(wheelhouse: Artifact, env: Path, python: Path) -> None:
    """Make ``env`` from scratch; whatever an interrupted run left there is removed first."""
    tools = env.with_name("tools")
    for leftover in (env, tools):
        shutil.rmtree(leftover, ignore_errors=True)
    tools.mkdir(mode=0o755, parents=True)
    wheels = _link_wheels(wheelhouse, tools / "wheels")
    uv = take_out_uv(wheelhouse.files, tools / "uv")
    settings = {
        "PATH": PATH,
        "HOME": str(tools),
        "UV_NO_CONFIG": "1",
        "UV_OFFLINE": "1",
        "UV_PYTHON_DOWNLOADS": "never",
        "UV_CACHE_DIR": str(tools / "cache"),
        "UV_LINK_MODE": "hardlink",
    }
    run([str(uv), "venv", "--quiet", "--python", str(python), str(env)], env=settings)
    source = ["--no-index", "--offline", "--find-links", str(wheels)]
    listed = ["--require-hashes", "--no-deps", "-r", str(wheelhouse.files[REQUIREMENTS].path)]
    run([str(uv), "pip", "install", "--quiet", "--python", str(env / "bin" / "python"), *source, *listed], env=settings)
    shutil.rmtree(tools)


def compile_environment(env: Path) -> None:
    """Write byte code beside the sources: the services may not, and would compile at every start.

    In one process, and behind others: workers of a pool would outlive an installer that is killed, and everything else
    waits for Keycloak, which is built meanwhile.
    """
    compiler = ["nice", "-n", "19", str(env / "bin" / "python"), "-m", "compileall", "-q", "-j", "1"]
    skip = r"/(tests?|testing|ansible|ansible_test)/|/pygments/(lexers|styles)/"  # no service runs these
    run([*compiler, "-x", skip, str(site_packages(env))], env={"HOME": "/", "PATH": PATH})


def site_packages(env: Path) -> Path:
    """Where the packages of ``env`` lie."""
    return env / "lib" / PYTHON_NAME / "site-packages"


def environment_present(env: Path) -> bool:
    """Whether the environment's command is there."""
    return (env / "bin" / "sovereign").is_file()


def _link_wheels(wheelhouse: Artifact, folder: Path) -> Path:
    """A folder in which each wheel has its name; the bytes stay in the store."""
    folder.mkdir()
    named: Mapping[str, Path] = {t: Path(d.path) for t, d in wheelhouse.files.items() if t.endswith(".whl")}
    for name, blob in named.items():
        (folder / name).symlink_to(blob)
    return folder


def take_out_uv(files: Mapping[str, StoredFile], target: Path) -> Path:
    """The ``uv`` program out of its wheel, hashed first: one member by its exact name, a file of bounded size."""
    try:
        name = program.wheel_name(files)
    except FormatError as error:
        raise DeploymentError(error.cause, error.hint) from error
    with files[name].open() as stream, zipfile.ZipFile(stream) as wheel:
        try:
            member = wheel.getinfo(program.member(name))
        except KeyError as error:
            raise DeploymentError("the uv wheel holds no uv program", "build the release again") from error
        if member.file_size > program.MAX_PROGRAM_BYTES:
            raise DeploymentError("the uv wheel holds a program of an unlikely size", "build the release again")
        with wheel.open(member) as source, target.open("xb") as out:
            shutil.copyfileobj(source, out, 1024 * 1024)
    target.chmod(0o755)
    return target
