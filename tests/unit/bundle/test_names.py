from __future__ import annotations

import pytest

from airgap_bundle.errors import UnsafeNameError
from airgap_bundle.names import check_distinct, check_name, check_path

GOOD = [
    "index.json",
    "uv-0.9.2-py3-none-manylinux_2_17_x86_64.whl",
    "a b",
    ".hidden",
    "é",
    "console",
    "com10.txt",
    "日本",
]
BAD = [
    *("", ".", "..", "a/b", "a\\b", "C:", "a\0", "a\n", "x.", "x ", " x", "CON", "con.txt", "LPT1", "COM¹.log", "nul "),
    *(
        "e\u0301",
        "\u202egpj",
        "zero\u200b",
        "\ufeffbom",
        "\ud800",
        "\ue000",
        "q?",
        "s*",
        "<",
        "|",
        '"',
        "n" * 256,
        "é" * 128,
    ),
]


@pytest.mark.parametrize("name", GOOD)
def test_portable_names_pass_as_they_are(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize("name", BAD)
def test_names_that_some_system_misreads_are_refused(name: str) -> None:
    with pytest.raises(UnsafeNameError):
        check_name(name)


def test_paths_are_relative_and_made_of_names() -> None:
    assert check_path("blobs/sha256/abc") == "blobs/sha256/abc"
    for path in ["/abs", "a//b", "a/", "a/../b", "a/./b", "/".join("a" * 33), "a" * 200 + "/" + "b" * 900]:
        with pytest.raises(UnsafeNameError):
            check_path(path)


ONE_FILE = [("a", "a"), ("A", "a"), ("straße", "STRASSE"), ("ﬁ", "fi"), ("\u0131", "I"), ("é", "É")]


@pytest.mark.parametrize("pair", ONE_FILE)
def test_names_that_are_one_file_somewhere_collide(pair: tuple[str, str]) -> None:
    with pytest.raises(UnsafeNameError, match="one file"):
        check_distinct(pair)


def test_different_names_do_not_collide() -> None:
    check_distinct(["a", "b", "a.b", "ab"])
