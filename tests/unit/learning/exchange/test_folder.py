"""The builder's folder: what sites sent, merged by digest; disagreement waits for a person."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from appliance.learning.errors import ExchangeError, ExchangeRefusedError
from appliance.learning.exchange.folder import Held, read_folder, read_keys, write_folder
from appliance.learning.exchange.merging import Merged, merge, merged
from appliance.learning.exchange.released import Released, read_released
from tests.bundles import signer
from tests.learning.exchanging import NOTICE, export, shared

if TYPE_CHECKING:
    from pathlib import Path

    from appliance.learning.exchange.export import Export

BICYCLES = shared("Where do bicycles stand?", "north gate")
THREE, SIX = shared(), shared(NOTICE, "six months")


def of(*exports: Export, **decisions: str) -> Merged:
    return merged({one.head.site: one for one in exports}, decisions)  # type: ignore[arg-type]  # keep and drop


def test_two_sites_that_learnt_the_same_have_one_case() -> None:
    found = of(export("north", 1, BICYCLES, roles=("research",)), export("south", 4, BICYCLES, roles=("desk",)))
    assert [(one.digest, one.sites, one.roles) for one in found.cases] == [(BICYCLES.digest, 2, ("desk", "research"))]
    assert found.blocked == ()


def test_sites_that_contradict_each_other_give_nobody_either_case_until_a_person_decides() -> None:
    north, south = export("north", 1, THREE, BICYCLES), export("south", 1, SIX)
    found = of(north, south)
    assert [one.digest for one in found.cases] == [BICYCLES.digest]
    assert {one.digest: one.against for one in found.blocked} == {
        THREE.digest: (SIX.digest,),
        SIX.digest: (THREE.digest,),
    }
    both = {THREE.digest: "keep", SIX.digest: "drop"}
    decided = of(north, south, **both)
    assert {one.digest for one in decided.cases} == {THREE.digest, BICYCLES.digest}
    assert (decided.retired, decided.blocked) == ((SIX.digest,), ())


def test_a_case_that_its_site_retired_is_a_tombstone_and_one_that_another_holds_waits() -> None:
    gone = export("north", 2, retired=(BICYCLES.digest,))
    assert of(gone).retired == (BICYCLES.digest,)
    disputed = of(gone, export("south", 1, BICYCLES))
    assert (disputed.cases, disputed.retired) == ((), ())
    assert [(one.held_by, one.retired_by) for one in disputed.blocked] == [(("south",), ("north",))]
    kept = of(gone, export("south", 1, BICYCLES), **{BICYCLES.digest: "keep"})
    assert [one.digest for one in kept.cases] == [BICYCLES.digest]


def test_one_number_with_two_contents_is_refused() -> None:
    with pytest.raises(ExchangeRefusedError, match="two different exports with number 1"):
        merge({"north": export("north", 1, THREE)}, {"north": export("north", 1, SIX)})


def test_an_older_export_is_refused_and_the_newest_of_one_call_counts() -> None:
    first, second = export("north", 1, THREE), export("north", 2, BICYCLES)
    assert Held().take([(first, "k"), (second, "k")], {}).sites == {"north": second}
    assert Held().take([(second, "k")], {}).take([(second, "k")], {}).sites == {"north": second}
    with pytest.raises(ExchangeRefusedError, match="export 1 is older than export 2"):
        Held().take([(second, "k")], {}).take([(first, "k")], {})


def test_a_folder_reads_back_and_equal_content_is_equal_bytes(tmp_path: Path) -> None:
    north, south = (export("north", 1, THREE, BICYCLES), "k1"), (export("south", 1, SIX), "k2")
    one = Held().take([north, south], {SIX.digest: "drop"})
    other = Held().take([south], {SIX.digest: "drop"}).take([north], {})
    for name, held in (("one", one), ("other", other)):
        (tmp_path / name).mkdir()
        write_folder(tmp_path / name, held, held.merged())
    files = [
        sorted(path.relative_to(tmp_path / name) for path in (tmp_path / name).rglob("*")) for name in ("one", "other")
    ]
    assert files[0] == files[1]
    for path in files[0]:
        if (tmp_path / "one" / path).is_file():
            assert (tmp_path / "one" / path).read_bytes() == (tmp_path / "other" / path).read_bytes()
    assert read_folder(tmp_path / "one") == one
    carried = read_released((tmp_path / "one" / "cases.jsonl").read_bytes())
    assert carried == Released(one.merged().cases, (SIX.digest,))


def test_what_somebody_changed_by_hand_is_refused(tmp_path: Path) -> None:
    held = Held().take([(export("north", 1, THREE, BICYCLES), "k")], {})
    write_folder(tmp_path, held, held.merged())
    path = tmp_path / "sites" / "north.jsonl"
    whole = path.read_bytes()
    lines = whole.splitlines(keepends=True)
    for data in (b"".join(lines[:-1]), whole.replace(b"north gate", b"south gate"), whole[:-1], b"", whole + b"{}\n"):
        path.write_bytes(data)
        with pytest.raises(ExchangeError):
            read_folder(tmp_path)
    path.write_bytes(whole)
    (tmp_path / "sites" / "north.json").write_bytes(b'{"number":1}\n')
    with pytest.raises(ExchangeError):
        read_folder(tmp_path)


def test_a_key_counts_under_its_own_name_alone(tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "north.pub").write_bytes(signer("north").public.to_bytes())
    assert [one.name for one in read_keys(tmp_path)] == ["north"]
    (tmp_path / "keys" / "south.pub").write_bytes(signer("north").public.to_bytes())
    with pytest.raises(ExchangeError, match="holds the key of north"):
        read_keys(tmp_path)


def test_a_released_file_in_another_order_or_with_another_digest_is_refused() -> None:
    data = Released(of(export("north", 1, THREE, BICYCLES)).cases).to_bytes()
    head, first, second = data.splitlines(keepends=True)
    for bad in (head + second + first, head + first + first, first, data.replace(b"north gate", b"south gate")):
        with pytest.raises(ExchangeError):
            read_released(bad)
