"""What jars and wheels say about themselves, for the SBOM and the site's preflight."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from airgap_bundle.build.jar import file_name_version, jar_coordinate
from airgap_bundle.build.strict_zip import open_zip
from airgap_bundle.build.wheel_metadata import glibc_needed, wheel_licence
from tests.unit.build.synthetic_release import write_zip

if TYPE_CHECKING:
    from pathlib import Path


def properties(group: str, name: str, version: str) -> bytes:
    return f"#made\nversion={version}\ngroupId={group}\nartifactId={name}\n".encode()


def test_a_jars_coordinate_is_the_one_its_file_name_ends_with(tmp_path: Path) -> None:
    path = write_zip(
        tmp_path / "x.jar",
        {
            "META-INF/maven/org.shaded/part/pom.properties": properties("org.shaded", "part", "9"),
            "META-INF/maven/org.example/core/pom.properties": properties("org.example", "core", "1.2.Final"),
        },
    )
    assert jar_coordinate(path, "lib/org.example.core-1.2.Final.jar") == ("org.example", "core", "1.2.Final")
    assert jar_coordinate(path, "lib/unrelated.jar") is None


def test_a_jar_that_is_no_zip_has_no_coordinate(tmp_path: Path) -> None:
    (tmp_path / "x.jar").write_bytes(b"nonsense")
    assert jar_coordinate(tmp_path / "x.jar", "x.jar") is None


@pytest.mark.parametrize(
    ("path", "found"),
    [("lib/bcprov-jdk18on-1.84.jar", ("bcprov-jdk18on", "1.84")), ("quarkus-run.jar", ("quarkus-run", ""))],
)
def test_a_file_name_is_split_before_its_version(path: str, found: tuple[str, str]) -> None:
    assert file_name_version(path) == found


@pytest.mark.parametrize(
    ("head", "licence"),
    [
        (b"License-Expression: BSD-3-Clause\nLicense: old\n", "BSD-3-Clause"),
        (b"License: MIT\n", "MIT"),
        (b"License: " + b"x" * 100 + b"\nClassifier: License :: OSI Approved :: MIT License\n", "MIT License"),
        (b"", ""),
    ],
)
def test_a_wheels_licence_is_read_from_its_metadata(tmp_path: Path, head: bytes, licence: str) -> None:
    path = write_zip(tmp_path / "x.whl", {"x-1.dist-info/METADATA": b"Name: x\n" + head})
    with open_zip(path, "x") as archive:
        assert wheel_licence(archive) == licence


def test_the_glibc_floor_is_the_newest_symbol_version_of_any_library(tmp_path: Path) -> None:
    path = write_zip(
        tmp_path / "x.whl",
        {"x/a.so": b"\0GLIBC_2.9\0GLIBC_2.36\0", "x/b.so.1": b"\0GLIBC_2.4\0", "x/text.py": b"GLIBC_2.99"},
    )
    with open_zip(path, "x") as archive:
        assert glibc_needed(archive) == "2.36"
