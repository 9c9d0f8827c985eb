"""Over a restart: what the site and a group wrote need not be computed again, and every answer stays right.

The model quotes what it sees (``quoting_context``): an answer is right only if the state that came back from disk is
the very one that was computed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from appliance.engine.keeping import WORTH_KEEPING
from tests.engine.batches import Asked, Desk
from tests.engine.quoting_context import QuotingContext, expected
from tests.engine.shelves import shelf_at

if TYPE_CHECKING:
    from pathlib import Path

    from appliance.engine.kv.shelf import KvShelf

WINDOW = 16
RULES = [97 + (n * n + 3 * n) % 26 for n in range(80)]


def desk(shelf: KvShelf | None, *, cells: int = 1024) -> Desk:
    return Desk(QuotingContext(cells=cells, window=WINDOW, context_tokens=256), shelf=shelf)


def ask(at: Desk, question: bytes, *, site: int = 80, shared: int = 0, group: str = "staff") -> Asked:
    asked = at.ask([*RULES, *question], site=site, shared=shared, group=group, user="analyst")
    at.run(asked)
    assert asked.text == bytes(expected(asked.job.tokens, asked.job.max_tokens, WINDOW)).decode()
    return asked


def restarted(path: Path, question: bytes, **how: int) -> Asked:
    with shelf_at(path) as shelf:
        return ask(desk(shelf), question, **how)


def served(path: Path, question: bytes, **how: int) -> None:
    with shelf_at(path) as shelf:
        at = desk(shelf)
        ask(at, question, **how)
        at.close()


def test_after_a_restart_the_sites_words_are_not_computed_again(tmp_path: Path) -> None:
    served(tmp_path / "kv", b"first question")
    assert restarted(tmp_path / "kv", b"another one").cached == len(RULES)


def test_a_groups_words_come_back_for_that_group_alone(tmp_path: Path) -> None:
    served(tmp_path / "kv", b"first question", site=0, shared=80)
    with shelf_at(tmp_path / "kv") as shelf:
        assert ask(desk(shelf), b"another one", site=0, shared=80, group="others").cached == 0
    with shelf_at(tmp_path / "kv") as shelf:
        assert ask(desk(shelf), b"another one", site=0, shared=80).cached == len(RULES)


def test_a_persons_own_words_never_come_back(tmp_path: Path) -> None:
    served(tmp_path / "kv", bytes(97 + n % 26 for n in range(100)), site=0)
    with shelf_at(tmp_path / "kv") as shelf:
        assert shelf.entries == ()


def test_what_is_hardly_worth_it_is_not_kept(tmp_path: Path) -> None:
    served(tmp_path / "kv", b"question", site=WORTH_KEEPING - 1)
    with shelf_at(tmp_path / "kv") as shelf:
        assert shelf.entries == ()


def test_what_made_room_in_the_cells_is_read_from_disk_instead_of_computed(tmp_path: Path) -> None:
    with shelf_at(tmp_path / "kv") as shelf:
        at = desk(shelf, cells=512)
        ask(at, b"first question")
        for n in range(12):
            other = at.ask([97 + (n * 7 + k * k) % 26 for k in range(90)], user=f"analyst-{n}", most=4)
            at.run(other)
        for holding in range(100):
            if not at.batcher._cache.evict():
                assert holding
                break
        rows = at.context.rows
        assert ask(at, b"another one").cached == len(RULES)
        assert at.context.rows - rows < len(RULES)


def test_a_damaged_state_is_computed_again_and_answers_stay_right(tmp_path: Path) -> None:
    served(tmp_path / "kv", b"first question")
    raw = bytearray((tmp_path / "kv").read_bytes())
    raw[(8 << 20) + 40] ^= 1
    (tmp_path / "kv").write_bytes(raw)
    with shelf_at(tmp_path / "kv") as shelf:
        at = desk(shelf)
        assert ask(at, b"another one").cached == 0
        assert shelf.dropped == 1
        at.close()
    assert restarted(tmp_path / "kv", b"a third one").cached == len(RULES)


def test_a_state_of_fewer_tokens_than_its_entry_says_is_not_credited(tmp_path: Path) -> None:
    """A defect of ours, not an attack: the seal is whole and the content is not what the list says."""
    with shelf_at(tmp_path / "kv") as shelf:
        at = desk(shelf)
        ask(at, b"question")
        at.close()
    with shelf_at(tmp_path / "kv") as shelf:
        (kept,) = shelf.entries
        short = QuotingContext(cells=1024, window=WINDOW, context_tokens=256)
        short.append([(token, at, (0, 1)) for at, token in enumerate(RULES[:-1])])
        shelf.save(kept.owner, kept.tokens, short.save(0))
    with shelf_at(tmp_path / "kv") as shelf:
        assert ask(desk(shelf), b"another one").cached == 0
        assert shelf.dropped == 1


def test_half_of_the_cells_at_most_are_taken_before_anybody_asks(tmp_path: Path) -> None:
    with shelf_at(tmp_path / "kv") as shelf:
        at = desk(shelf)
        for n in range(4):
            words = [97 + (n * 5 + k * k) % 26 for k in range(80)]
            asked = at.ask([*words, 97, 98], site=80, user="analyst")
            at.run(asked)
        at.close()
    with shelf_at(tmp_path / "kv") as shelf:
        assert len(shelf.entries) == 4
        at = desk(shelf, cells=340)
        assert 0 < at.context.whole.used <= 170


@pytest.mark.parametrize("shelved", [True, False])
def test_replay_takes_nothing_from_anywhere(tmp_path: Path, *, shelved: bool) -> None:
    served(tmp_path / "kv", b"first question")
    with shelf_at(tmp_path / "kv") as shelf:
        at = desk(shelf if shelved else None)
        asked = at.ask([*RULES, 97, 98, 99], alone=True)
        at.run(asked)
        assert asked.cached == 0
        assert asked.text == bytes(expected(asked.job.tokens, asked.job.max_tokens, WINDOW)).decode()
