"""An image in which something names a library that is not there is not made."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from airgap_bundle.build.rootfs.elf import needed_by
from airgap_bundle.errors import BuildError
from tests.debs import SmallDeb, link, member
from tests.elves import elf
from tests.unit.build.test_recipes import Bench

TOOL = SmallDeb("alpha", members=[member("usr/bin/alpha", elf("libbeta.so.1"), mode=0o755)])
BETA = SmallDeb(
    "beta", members=[member("usr/lib/libbeta.so.1.2", elf()), link("usr/lib/libbeta.so.1", "libbeta.so.1.2")]
)


def test_the_libraries_of_a_real_program_are_found() -> None:
    assert any(name.startswith("libc.so") for name in needed_by(Path(sys.executable).resolve().read_bytes()))


@pytest.mark.parametrize("cut", [10, 64, 100, 180, 250])
def test_a_damaged_file_names_nothing_and_stops_nobody(cut: int) -> None:
    assert needed_by(elf("libbeta.so.1", "libgamma.so")[:cut]) in ([], ["libbeta.so.1"])


def test_every_name_is_read() -> None:
    assert needed_by(elf("libbeta.so.1", "libgamma.so")) == ["libbeta.so.1", "libgamma.so"]
    assert needed_by(elf()) == []


def test_a_library_that_lacks_is_named_and_one_by_its_link_is_there(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "one", TOOL)
    bench.recipe({"debian": {"packages": ["alpha"]}})
    with pytest.raises(BuildError, match=r"tool lacks libbeta\.so\.1, which"):
        bench.build()
    bench = Bench(tmp_path / "two", TOOL, BETA)
    bench.recipe({"debian": {"packages": ["alpha", "beta"]}})
    assert bench.build().foreign is not None


def test_a_reason_for_a_library_that_lacks_holds_only_while_it_does(tmp_path: Path) -> None:
    reason = {"libbeta.so.1": "only its own tests load it"}
    bench = Bench(tmp_path / "one", TOOL)
    bench.recipe({"debian": {"packages": ["alpha"]}}, unneeded=reason)
    assert bench.build().foreign is not None
    bench = Bench(tmp_path / "two", TOOL, BETA)
    bench.recipe({"debian": {"packages": ["alpha", "beta"]}}, unneeded=reason)
    with pytest.raises(BuildError, match=r"does not lack libbeta\.so\.1"):
        bench.build()
