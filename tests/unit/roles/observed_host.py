"""A host with a log and flows to be observed, and a collector that fails or ends when it is told to."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from appliance.collector.told import MAX_BYTES, MAX_ITEM_BYTES, MAX_ITEMS, read_item
from tests.unit.roles.observers import deliver, observer

if TYPE_CHECKING:
    from pathlib import Path


class Collector:
    """Takes what is handed over, but for the next ``fails`` times; after the next ``ends`` the host's power is cut."""

    def __init__(self) -> None:
        self.taken: list[dict[str, Any]] = []
        self.fails = self.ends = 0

    def take(self, items: list[dict[str, Any]]) -> None:
        said = [deliver.spelled(item) for item in items]
        assert all(read_item(one) for one in said)
        assert len(said) <= MAX_ITEMS
        assert max(map(len, said)) <= MAX_ITEM_BYTES
        assert sum(map(len, said)) <= MAX_BYTES
        if self.fails:
            self.fails -= 1
            raise ConnectionRefusedError("nobody listens")
        self.taken += json.loads(json.dumps(items))
        if self.ends:
            self.ends -= 1
            raise SystemExit

    @property
    def named(self) -> list[str]:
        return [str(item.get("at") or item["number"]) + item["kind"] for item in self.taken]


class Host:
    """An API log, denied flows, and an observer that may be started anew."""

    def __init__(self, folder: Path) -> None:
        self.log, self.flows, self.state = folder / "audit.log", folder / "denied.log", folder / "state.json"
        self.collector = Collector()
        self.start()

    def start(self) -> None:
        self.observer = observer.Observer(self.state, self.collector.take)

    def calls(self) -> list[str]:
        """Hand over what there is; numbers of the calls that were taken so far."""
        for _ in range(100):
            if not self.observer.tell_calls(self.log):
                break
        else:
            raise AssertionError("it comes to no end")
        return [item["call"] for item in self.collector.taken if item["kind"] == "call"]
