"""Requirements are pinned and hashed; wheels are chosen for one interpreter and platform."""

from __future__ import annotations

import pytest

from airgap_bundle.build.python_packages import Requirement, Target, file_identity, read_requirements
from airgap_bundle.errors import LockError

A, B = "a" * 64, "b" * 64


def test_a_compiled_list_is_read_with_its_hashes() -> None:
    text = (
        f"# made by make lock\nPsycopg[binary]==3.3.9 \\\n    --hash=sha256:{A} \\\n    --hash=sha256:{B}\n\n"
        f"uv==1.0 --hash=sha256:{A}\n"
    )
    assert read_requirements(text) == (
        Requirement("psycopg", "3.3.9", (A, B)),
        Requirement("uv", "1.0", (A,)),
    )


@pytest.mark.parametrize("line", ["httpx", "httpx>=1", "httpx==1.0", "-e .", "httpx @ file:///x"])
def test_a_requirement_without_version_or_hash_is_refused(line: str) -> None:
    with pytest.raises(LockError, match="without version or hash"):
        read_requirements(line)


def test_every_older_manylinux_is_named_to_pip() -> None:
    options = Target("3.11", "x86_64", "2.28").pip_options()
    assert "--python-version=3.11" in options
    assert "--only-binary=:all:" in options
    platforms = {option.partition("=")[2] for option in options if option.startswith("--platform=")}
    assert {"manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64", "manylinux1_x86_64"} <= platforms
    assert "manylinux_2_29_x86_64" not in platforms


@pytest.mark.parametrize(
    ("file", "identity"),
    [
        ("pydantic_core-2.50.4-cp311-cp311-manylinux2014_x86_64.whl", ("pydantic-core", "2.50.4")),
        ("llama_cpp_python-0.3.36.tar.gz", ("llama-cpp-python", "0.3.36")),
        ("zope.interface-1.0-py3-none-any.whl", ("zope-interface", "1.0")),
    ],
)
def test_a_file_name_says_which_package_it_is(file: str, identity: tuple[str, str]) -> None:
    assert file_identity(file) == identity
