"""A control plane of one host: its silence stops nobody, its word does; who begins in silence was the last holder."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import httpx
import pytest

from appliance.audit.lease import TRIES, Terms
from appliance.audit.lease_note import HOLDER, HolderNote
from tests.unit.audit.test_lease import World, may_sign

if TYPE_CHECKING:
    from pathlib import Path

    from appliance.audit.lease import Lease


@pytest.fixture
def note(tmp_path: Path) -> HolderNote:
    return HolderNote(tmp_path)


def silence(world: World, lease: Lease, times: int) -> bool:
    """So many questions that nobody answers, as far apart as renewals; whether the last one counts as held."""
    world.api.reachable, held = False, False
    for _ in range(times):
        world.now += Terms().renew
        try:
            held = lease.step()
        except httpx.HTTPError:
            held = False
    return held


def test_silence_of_a_day_does_not_stop_the_writer_and_the_lease_is_its_own_afterwards(note: HolderNote) -> None:
    world = World()
    one = world.lease("a", note)
    assert one.step()
    for _ in range(24 * 60):
        assert silence(world, one, 12)
        assert may_sign(one)
    world.api.reachable = True
    assert one.step()
    assert (world.api.holder, one.lost) == ("a", False)


def test_with_three_hosts_the_same_silence_stops_it() -> None:
    world = World()
    one = world.lease("a")
    assert one.step()
    assert not silence(world, one, int(Terms().deadline / Terms().renew))
    assert not may_sign(one)
    assert not one.lost


@pytest.mark.parametrize("status", [500, 503, 429])
def test_a_server_that_cannot_answer_is_silent(note: HolderNote, status: int) -> None:
    world = World()
    one = world.lease("a", note)
    assert one.step()
    world.api.denies = status
    for _ in range(100):
        world.now += Terms().renew
        with contextlib.suppress(httpx.HTTPStatusError):
            one.step()
        assert may_sign(one)


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_word_that_right_or_object_are_gone_stops_it_for_good(note: HolderNote, status: int, tmp_path: Path) -> None:
    world = World()
    one = world.lease("a", note)
    assert one.step()
    assert note.names("a")
    world.api.denies = status
    with pytest.raises(httpx.HTTPStatusError):
        one.step()
    assert one.lost
    assert not may_sign(one)
    assert world.ended == ["a"]
    assert (tmp_path / HOLDER).read_bytes() == b""
    assert not silence(world, one, 10 * TRIES) or not may_sign(one)
    assert not may_sign(one)
    again = world.lease("a", note)  # the same pod's next container: the folder no longer names it
    assert not silence(world, again, 10 * TRIES)
    assert not may_sign(again)


def test_another_holder_stops_it_for_good_and_nobody_begins_by_the_note(note: HolderNote) -> None:
    world = World()
    one = world.lease("a", note)
    assert one.step()
    assert silence(world, one, 100)
    world.api.reachable = True
    world.api.spec = {"holderIdentity": "b", "leaseTransitions": 2}
    assert not one.step()
    assert one.lost
    assert not may_sign(one)
    assert not note.names("a")
    assert not silence(world, world.lease("a", note), 10 * TRIES)


def test_a_process_that_was_stopped_past_its_lease_asks_before_it_signs(note: HolderNote) -> None:
    world = World()
    one = world.lease("a", note)
    assert one.step()
    assert silence(world, one, 100)
    world.now += Terms().deadline
    assert not may_sign(one)
    assert not silence(world, one, TRIES - 1)
    assert not may_sign(one)
    assert silence(world, one, 1)
    assert may_sign(one)


def test_a_container_that_starts_anew_in_the_pod_goes_on_in_silence_and_no_other_does(note: HolderNote) -> None:
    world = World()
    assert world.lease("a", note).step()  # and then it was killed
    other = world.lease("b", note)
    assert not silence(world, other, 10 * TRIES)
    again = world.lease("a", note)
    assert not silence(world, again, TRIES - 1)
    assert silence(world, again, 1)
    assert may_sign(again)
    world.api.reachable = True
    assert again.step()
    assert may_sign(again)


def test_who_began_in_silence_ends_when_the_lease_is_found_to_be_nobodys_or_anothers(note: HolderNote) -> None:
    for holder in ("", "b"):
        world = World()
        note.write("a")
        again = world.lease("a", note)
        assert silence(world, again, TRIES)
        world.api.reachable, world.api.spec = True, {"holderIdentity": holder, "leaseTransitions": 3}
        assert not again.step()
        assert again.lost
        assert not note.names("a")


def test_where_the_api_server_answers_the_note_lets_nobody_begin(note: HolderNote) -> None:
    world = World()
    note.write("a")
    world.api.spec = {"holderIdentity": "b", "leaseTransitions": 3}
    again = world.lease("a", note)
    for _ in range(10):
        assert not again.step()
    assert not may_sign(again)
    assert not silence(world, again, 10 * TRIES)


def test_who_lets_go_is_named_no_more_before_another_may_follow(note: HolderNote) -> None:
    world = World()
    one = world.lease("a", note)
    assert one.step()
    one.release()
    assert world.api.holder == ""
    assert not note.names("a")


def test_who_ends_while_nobody_answers_is_still_named(note: HolderNote) -> None:
    world = World()
    one = world.lease("a", note)
    assert one.step()
    assert silence(world, one, TRIES)
    one.release()
    assert not may_sign(one)
    assert silence(world, world.lease("a", note), TRIES)


def test_a_disk_that_takes_no_note_keeps_nobody_from_signing_and_names_it_later(
    note: HolderNote, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World()
    one = world.lease("a", note)

    def full(_: str) -> None:
        raise OSError(28, "full")

    with monkeypatch.context() as patch:
        patch.setattr(note, "write", full)
        assert one.step()
    assert may_sign(one)
    assert not note.names("a")
    assert one.step()
    assert note.names("a")


def test_a_note_that_is_a_link_or_a_folder_names_nobody(note: HolderNote, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"a")
    (tmp_path / HOLDER).symlink_to("x")
    assert not note.names("a")
    (tmp_path / HOLDER).unlink()
    (tmp_path / HOLDER).mkdir()
    assert not note.names("a")
    assert not note.names("")


def test_an_answer_between_two_silences_makes_them_count_anew(note: HolderNote) -> None:
    world = World()
    one = world.lease("a", note)
    assert one.step()
    assert not silence(world, one, TRIES - 1)
    world.api.reachable = True
    assert one.step()
    assert not silence(world, one, TRIES - 1)
    assert silence(world, one, 1)


def test_a_lease_that_was_made_anew_under_the_same_name_is_another(note: HolderNote) -> None:
    world = World()
    one = world.lease("a", note)
    assert one.step()
    world.api.uid = "2"
    assert not one.step()
    assert one.lost
