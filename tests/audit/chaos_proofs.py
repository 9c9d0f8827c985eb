"""The proofs of what callers were told: those that they were given, and one of every entry, made afterwards."""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from appliance.audit.errors import NoteError
from appliance.audit.merkle import inclusion_holds, leaf_hash
from appliance.audit.proofs import inclusion_proof
from appliance.audit.prove import prove, verify_proof
from appliance.audit.stored import read_stored
from appliance.audit.tiles import WIDTH
from appliance.audit.tlog_proof import open_tlog_proof

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from appliance.audit.checkpoint import Checkpoint
    from appliance.audit.note import VerifierKey
    from tests.audit.bench import Bench

AS_BUNDLES = 25


@dataclass(frozen=True)
class Given:
    """What a caller got with an acknowledgement: where the entry lies, and its proof; None where none came."""

    entry_id: str
    index: int
    proof: str | None


def open_given(given: Iterable[Given], vkeys: tuple[VerifierKey, ...]) -> list[Checkpoint]:
    """The heads under which these proofs hold, each of the place that its caller was told.

    Raises ``AssertionError`` naming the first that does not hold, is of another place, or is not there.
    """
    heads = []
    for one in given:
        assert one.proof is not None, f"{one.entry_id} was acknowledged without a proof"
        try:
            proof, head = open_tlog_proof(one.proof, vkeys)
        except NoteError as error:
            raise AssertionError(f"the proof of {one.entry_id} does not hold: {error.cause}") from error
        assert proof.index == one.index, f"{one.entry_id} was told to lie at {one.index}, and proved at {proof.index}"
        heads.append(head)
    return heads


def prove_all(bench: Bench, held: Iterable[tuple[str, int]], sent: Mapping[str, str]) -> None:
    """Prove each of ``held`` where it was said to lie, with the digest that was ``sent``, under the log's last head.

    One reader serves all of them; of some the bundle is made and checked as `sovereign audit prove` does, which reads
    the log anew each time. Raises ``AssertionError`` naming the first that has no proof.
    """
    stored = read_stored(bench.directory, bench.vkeys)
    bundle, entries = -1, list[bytes]()
    told = sorted(held, key=lambda one: one[1])
    for entry_id, index in told:
        if index // WIDTH != bundle:
            bundle = index // WIDTH
            entries = stored.tiles.entries(bundle)
        entry = entries[index % WIDTH]
        assert hashlib.sha256(entry).hexdigest() == sent[entry_id], f"{entry_id} is not the entry at {index}"
        hashes = inclusion_proof(stored.tiles, index)
        holds = inclusion_holds(index, stored.head.size, leaf_hash(entry), hashes, stored.head.root)
        assert holds, f"{entry_id} at {index} has no proof that holds"
    for _, index in random.Random(0).sample(told, min(AS_BUNDLES, len(told))):
        verify_proof(prove(bench.directory, index, vkeys=bench.vkeys), vkeys=bench.vkeys)
