from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest

from airgap_bundle.errors import DigestMismatchError, FormatError, MissingFileError, SigningError, StoreError
from airgap_bundle.media import disk
from airgap_bundle.media import split as splitting
from airgap_bundle.media.join import join
from airgap_bundle.media.pack import pack
from airgap_bundle.media.part_list import read_claims
from airgap_bundle.media.random_access import FileBytes
from airgap_bundle.verify import verify
from tests.bundles import NOW, Site, root_bytes, signer, trust
from tests.media_sets import PART, PulledStick, split_set, sticks

if TYPE_CHECKING:
    from pathlib import Path

    from airgap_bundle.media.join import Joining


@pytest.fixture
def parts(bundle: Path, tmp_path: Path) -> Path:
    split_set(bundle, tmp_path / "set")
    return tmp_path / "set"


@pytest.fixture
def packed(bundle: Path, tmp_path: Path) -> bytes:
    pack(bundle, tmp_path / "whole.pack")
    return (tmp_path / "whole.pack").read_bytes()


def joined(folders: list[Path], out: Path, **more: object) -> Joining:
    return join(folders, out, trust(), now=NOW, **more)  # type: ignore[arg-type]


def test_parts_are_the_packed_bundle_cut_and_named_for_fat(parts: Path, packed: bytes) -> None:
    names = sorted(path.name for path in parts.iterdir())
    assert names == [f"RELEASE.{number:03}" for number in range(1, len(names))] + ["RELEASE.LST"]
    assert b"".join((parts / name).read_bytes() for name in names[:-1]) == packed
    assert {(parts / name).stat().st_size for name in names[:-2]} == {2 * PART}


def test_joining_from_sticks_in_any_order_gives_the_packed_bundle(parts: Path, packed: bytes, tmp_path: Path) -> None:
    out = tmp_path / "joined.pack"
    media = sticks(parts, tmp_path)
    for stick in reversed(media[1:]):
        standing = joined([stick], out)
        assert not standing.done
        assert not out.exists()
    with pytest.raises(StoreError, match=r"of \d+ parts are here; missing: RELEASE\.001"):
        standing.raise_for_fault()
    assert joined([media[0]], out).done
    assert out.read_bytes() == packed
    assert not list(tmp_path.glob("joined.pack.*"))


def test_a_good_part_is_read_once(parts: Path, tmp_path: Path) -> None:
    media = sticks(parts, tmp_path)
    joined(media[:2], tmp_path / "joined.pack")
    opened = []

    def watch(path: Path) -> FileBytes:
        opened.append(path.name)
        return FileBytes(path)

    assert joined(media, tmp_path / "joined.pack", open_part=watch).done
    assert opened == [f"RELEASE.{number:03}" for number in range(3, len(media) + 1)]


def test_a_pulled_stick_costs_one_piece(parts: Path, packed: bytes, tmp_path: Path) -> None:
    out = tmp_path / "joined.pack"
    standing = joined(
        [parts], out, open_part=lambda path: PulledStick(path, PART if path.suffix == ".002" else 1 << 30)
    )
    with pytest.raises(
        StoreError, match=r"recopy part 2 of \d+: RELEASE\.002 cannot be read at 0\.1 MiB: Input/output"
    ):
        standing.raise_for_fault()
    read = []

    class Counting(FileBytes):
        def read_at(self, offset: int, count: int) -> bytes:
            read.append(offset)
            return super().read_at(offset, count)

    assert joined([parts], out, open_part=Counting).done
    assert read == [PART]
    assert out.read_bytes() == packed


def test_a_damaged_part_is_named_with_the_place_and_the_others_are_kept(
    parts: Path, packed: bytes, tmp_path: Path
) -> None:
    out, bad = tmp_path / "joined.pack", parts / "RELEASE.003"
    good = bad.read_bytes()
    bad.write_bytes(good[:PART] + bytes([good[PART] ^ 1]) + good[PART + 1 :])
    standing = joined([parts], out)
    with pytest.raises(DigestMismatchError, match=r"recopy part 3 of \d+: RELEASE\.003 differs at 0\.1 MiB"):
        standing.raise_for_fault()
    assert len(standing.have) == len(standing.parts.parts) - 1
    bad.write_bytes(good)
    assert joined([parts], out).done
    assert out.read_bytes() == packed


def test_a_part_of_the_wrong_length_is_named(parts: Path, tmp_path: Path) -> None:
    (parts / "RELEASE.002").write_bytes((parts / "RELEASE.002").read_bytes()[:-1])
    with pytest.raises(DigestMismatchError, match=r"recopy part 2 .* has 131071 bytes instead of 131072"):
        joined([parts], tmp_path / "joined.pack").raise_for_fault()


def test_a_second_copy_of_a_part_stands_in_for_a_damaged_one(parts: Path, tmp_path: Path) -> None:
    other = shutil.copytree(parts, tmp_path / "other")
    (parts / "RELEASE.001").write_bytes(bytes(2 * PART))
    assert joined([parts, other], tmp_path / "joined.pack").done


def test_a_set_whose_parts_lie_together_is_verified_and_imported_as_it_lies(parts: Path, tmp_path: Path) -> None:
    for path in (parts, parts / "RELEASE.LST"):
        assert verify(path, trust(), now=NOW).ok
    assert Site(tmp_path / "site").install(parts, pin=root_bytes()).version == "1.0.0"


def test_names_are_found_in_either_case(parts: Path, tmp_path: Path) -> None:
    for path in list(parts.iterdir()):
        path.rename(parts / path.name.lower())
    assert joined([parts], tmp_path / "joined.pack").done
    assert verify(parts, trust(), now=NOW).ok


def test_a_set_with_a_gap_says_which_part_is_not_there(parts: Path) -> None:
    (parts / "RELEASE.002").unlink()
    with pytest.raises(MissingFileError, match=r"parts; missing: RELEASE\.002"):
        verify(parts, trust(), now=NOW)


def test_media_of_a_given_size_get_whole_parts_and_the_list_each(bundle: Path, tmp_path: Path) -> None:
    medium = (2 << 20) + 7 * PART
    done = split_set(bundle, tmp_path / "out", media_size=medium)
    for folder, names in done.media.items():
        assert names[-1] == "RELEASE.LST"
        assert 2 <= len(names) <= 4
        assert sum((tmp_path / "out" / folder / name).stat().st_size for name in names) <= medium
    assert joined([tmp_path / "out" / folder for folder in done.media], tmp_path / "joined.pack").done


@pytest.mark.parametrize("medium", [700_000_000, 4_000_000_000, 8_000_000_000, 16_000_000_000, 128_000_000_000])
def test_parts_fill_media_evenly_when_no_part_size_is_named(medium: int) -> None:
    plan = splitting.plan_for(None, medium, "RELEASE")
    assert plan.part_size <= splitting.DEFAULT_PART
    assert medium * 0.95 < plan.per_medium * plan.part_size < medium * 0.99


def test_a_medium_too_small_for_a_part_is_refused() -> None:
    for part, medium in ((4_000_000_000, 2_000_000_000), (None, 1_000_000)):
        with pytest.raises(FormatError, match="no room for a part"):
            splitting.plan_for(part, medium, "RELEASE")


def test_only_the_key_that_sealed_signs_the_list(bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(SigningError, match="architect did not seal"):
        split_set(bundle, tmp_path / "set", by="architect")
    assert not (tmp_path / "set").exists()


@pytest.mark.parametrize("plan", [{"part_size": 1 << 32}, {"part_size": 1}, {"name": "release"}, {"name": "A.B"}])
def test_a_plan_that_fat_cannot_hold_is_refused(bundle: Path, tmp_path: Path, plan: dict[str, object]) -> None:
    with pytest.raises(FormatError):
        splitting.split(bundle, tmp_path / "set", signer("release"), splitting.Plan(**plan))  # type: ignore[arg-type]
    assert not (tmp_path / "set").exists()


def test_a_failed_split_leaves_nothing(bundle: Path, tmp_path: Path) -> None:
    made = shutil.copytree(bundle, tmp_path / "bundle")
    victim = max((made / "blobs/sha256").iterdir(), key=lambda path: path.stat().st_size)
    victim.write_bytes(bytes(victim.stat().st_size))
    with pytest.raises(DigestMismatchError):
        split_set(made, tmp_path / "set")
    assert not (tmp_path / "set").exists()


def test_a_failed_split_leaves_the_operators_own_folder(bundle: Path, tmp_path: Path) -> None:
    made = shutil.copytree(bundle, tmp_path / "bundle")
    victim = max((made / "blobs/sha256").iterdir(), key=lambda path: path.stat().st_size)
    victim.write_bytes(bytes(victim.stat().st_size))
    (tmp_path / "mine").mkdir()
    for more in ({}, {"media_size": 3 << 20}):
        with pytest.raises(DigestMismatchError):
            split_set(made, tmp_path / "mine", **more)
        assert not any((tmp_path / "mine").iterdir())


def test_a_disk_without_room_is_met_before_the_work(
    parts: Path, bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full:
        f_bavail, f_frsize = 1, 4096

    monkeypatch.setattr(disk.os, "statvfs", lambda _path: Full)
    with pytest.raises(StoreError, match="are needed"):
        joined([parts], tmp_path / "joined.pack")
    with pytest.raises(StoreError, match="are needed"):
        pack(bundle, tmp_path / "new.pack")
    assert not list(tmp_path.glob("joined*"))
    assert not list(tmp_path.glob("new*"))


def test_the_list_says_what_every_part_holds(parts: Path) -> None:
    claims = read_claims((parts / "RELEASE.LST").read_bytes())
    assert (claims.release, claims.version, claims.number) == ("sovereign", "1.0.0", 1)
    assert claims.size == sum(path.stat().st_size for path in parts.iterdir() if path.suffix != ".LST")
    assert json.loads((parts / "RELEASE.LST").read_bytes())["schema"] == 1
