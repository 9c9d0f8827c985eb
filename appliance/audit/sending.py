"""Entries on their way to the writer: who waits for which, which of them share a frame, and what its answer means."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from appliance.audit import wire
from appliance.audit.errors import EntryRefusedError
from appliance.audit.tiles import encode_entries
from appliance.errors import SovereignError

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterator, Sequence

    from appliance.audit.wire import Position


@dataclass(frozen=True)
class Waiting:
    """An encoded entry and where its caller hears."""

    entry: bytes
    done: asyncio.Future[Position]
    proven: bool

    def fail(self, error: SovereignError) -> None:
        """The caller hears ``error``, unless they heard something already or went away."""
        if not self.done.done():
            self.done.set_exception(error)


@dataclass(frozen=True)
class Batch:
    """What shares a frame: all of it is proven, or nothing."""

    waiting: Sequence[Waiting]

    @property
    def proven(self) -> bool:
        """Whether proofs are asked for."""
        return self.waiting[0].proven

    def payload(self) -> bytes:
        """The frame's."""
        return encode_entries([one.entry for one in self.waiting])

    def hear(self, reply: bytes | Exception) -> list[Batch]:
        """Each caller hears what ``reply`` means for their entry; what is to be sent again comes back.

        One refused entry must not take its neighbours with it: each is sent alone then. Raises nothing: whatever else
        an answer does to who reads it, nobody waits for another.
        """
        try:
            positions = wire.read_reply(_said(reply), [one.entry for one in self.waiting], proven=self.proven)
        except EntryRefusedError as error:
            if len(self.waiting) > 1:
                return [Batch([one]) for one in self.waiting]
            self.waiting[0].fail(error)
        except SovereignError as error:
            self._fail(error)
        except Exception as error:  # noqa: BLE001 - a defect here would be a caller who waits for ever
            self._fail(wire.unreachable(error))
        else:
            for one, position in zip(self.waiting, positions, strict=True):
                if not one.done.done():
                    one.done.set_result(position)
        return []

    def _fail(self, error: SovereignError) -> None:
        for one in self.waiting:
            one.fail(error)


def _said(reply: bytes | Exception) -> bytes:
    if isinstance(reply, bytes):
        return reply
    if isinstance(reply, SovereignError):
        raise reply
    raise wire.unreachable(reply) from reply


def batches(gathered: Sequence[Waiting]) -> Iterator[Batch]:
    """Frames of bounded size for what was gathered, without callers that went away already."""
    for proven in (False, True):
        rest = [one for one in gathered if one.proven is proven and not one.done.done()]
        while rest:
            size = count = 0
            while count < min(len(rest), wire.MAX_FRAME_ENTRIES) and size < wire.MAX_FRAME_BYTES:
                size += len(rest[count].entry)
                count += 1
            yield Batch(rest[:count])
            rest = rest[count:]
