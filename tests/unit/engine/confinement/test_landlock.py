from __future__ import annotations

import struct
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from appliance.engine.confinement import landlock
from appliance.engine.confinement.landlock import View, environment, grants, laid_open, ruleset


@pytest.mark.parametrize(
    ("abi", "words"),
    [
        (1, [0x1FFF]),
        (2, [0x3FFF]),
        (3, [0x7FFF]),
        (4, [0x7FFF, 3]),
        (5, [0xFFFF, 3]),
        (6, [0xFFFF, 3, 3]),
        (7, [0xFFFF, 3, 3]),
        (99, [0xFFFF, 3, 3]),
    ],
)
def test_everything_that_an_abi_knows_is_handled_and_so_denied(abi: int, words: list[int]) -> None:
    assert ruleset(abi) == struct.pack(f"={len(words)}Q", *words)


def test_what_is_granted_is_reading_and_the_engines_own_socket() -> None:
    view = View(readable=(Path("/lib"), Path("/model")), own=Path("/run/engine"))
    assert {str(grant.path): grant.rights for grant in grants(view, 7)} == {
        "/lib": landlock.READ_FILE | landlock.READ_DIR,
        "/model": landlock.READ_FILE | landlock.READ_DIR,
        "/dev/null": landlock.READ_FILE | landlock.WRITE_FILE,
        "/run/engine": landlock.READ_DIR | landlock.MAKE_SOCK | landlock.REMOVE_FILE,
    }


@pytest.mark.parametrize(("abi", "told"), [(4, 0), (5, landlock.IOCTL_DEV), (7, landlock.IOCTL_DEV)])
def test_an_engine_with_a_gpu_reads_writes_and_tells_its_devices_and_no_others(abi: int, told: int) -> None:
    devices = (Path("/dev/nvidia0"), Path("/dev/nvidiactl"))
    plain = View(readable=(Path("/lib"),), own=Path("/run/engine"))
    more = set(grants(View(plain.readable, plain.own, devices), abi)) - set(grants(plain, abi))
    rights = landlock.READ_FILE | landlock.WRITE_FILE | told
    assert {grant.path: grant.rights for grant in more} == dict.fromkeys(devices, rights)
    assert all(not grant.rights & landlock.IOCTL_DEV for grant in grants(plain, abi))


@pytest.mark.parametrize(("abi", "cutting"), [(2, 0), (3, landlock.TRUNCATE), (7, landlock.TRUNCATE)])
def test_names_of_threads_are_written_where_a_gpus_driver_must_and_nowhere_else(abi: int, cutting: int) -> None:
    plain = View(readable=(Path("/lib"),), own=Path("/run/engine"))
    threads = Path("/proc/self/task")
    more = set(grants(replace(plain, threads=threads), abi)) - set(grants(plain, abi))
    assert {grant.path: grant.rights for grant in more} == {threads: landlock.WRITE_FILE | cutting}


def test_a_rule_is_packed_as_the_kernel_reads_it() -> None:
    assert landlock.beneath(landlock.READ_FILE, 5) == bytes([4, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0])


def test_the_environment_is_code_and_neither_root_nor_home_nor_configuration() -> None:
    found = environment()
    assert Path(sys.prefix, "lib") in found
    assert not {Path("/"), Path("/etc"), Path("/proc"), Path("/home"), Path.home(), Path("/var"), Path("/run")} & set(
        found
    )
    assert all(path.exists() for path in found)


def test_a_site_beneath_a_folder_that_engines_read_is_noticed(tmp_path: Path) -> None:
    site, library = tmp_path / "lib" / "site", tmp_path / "lib"
    site.mkdir(parents=True)
    (tmp_path / "link").symlink_to(library)
    own = tmp_path / "run"
    assert laid_open(View((tmp_path / "link",), own), site) == tmp_path / "link"
    assert laid_open(View((site,), own), site) == site
    assert laid_open(View((site / "store", tmp_path / "other"), own), site) is None
