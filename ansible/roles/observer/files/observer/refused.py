"""What a host did not let through: flows that network policies denied, and packets that its firewall refused. Pure.

A row is told when it is first seen and, when it grew, every hour after that; of many new rows so many a minute. What
waits is counted on, and rows beyond ``ROWS`` are one row without a destination, so that nobody fills the log by trying.
"""

from __future__ import annotations

import json
from typing import Any, Iterable, Iterator  # noqa: UP035 - Python 3.9's as well

ROWS = 2048
AT_ONCE = 10
AGAIN_SECONDS = 3600.0
_COUNTERS = ("refused_out", "refused_through")
_TEXT = 253
_DENIED = ("POLICY_DENIED", "POLICY_DENY")  # no policy allows it; one denies it
_NEIGHBOURS = {131, 132, 133, 135, 136, 143}
KEYS = ("by", "source", "destination", "protocol", "port")
Row = tuple  # of the values of KEYS
UNREADABLE: Row = ("network", "", "", "", 0)


def flow(text: bytes) -> Row | None:
    """The row that a line of the network's agent belongs to, or ``UNREADABLE``.

    What the network dropped for another reason than a policy (an address of a pod that is gone, a full table) is told
    apart: it is no attempt to leave by itself.
    None: it is a kernel's own looking for neighbours and routers (RFC 4861, 3810), which never goes beyond its link.
    """
    try:
        about = json.loads(text.decode("utf-8", "replace"))["flow"]
        protocol, ports = next(iter((about.get("l4") or {}).items()), ("", {}))
        port = ports.get("destination_port", 0) if isinstance(ports, dict) else 0
        ends = (_end(about, "source"), _end(about, "destination"))
        if protocol == "ICMPv6" and ports.get("type") in _NEIGHBOURS and ends[1].startswith("ff02:"):
            return None
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError):
        return UNREADABLE
    by = "policy" if about.get("drop_reason_desc") in _DENIED else "network"
    return (by, *ends, _text(protocol, 8).lower(), port if type(port) is int and 0 <= port <= 65535 else 0)  # noqa: PLR2004 - ports


def _end(about: dict[str, Any], which: str) -> str:
    """`namespace/pod` of one end of a flow, or its address."""
    end = about.get(which) or {}
    named = f"{end.get('namespace', '')}/{end['pod_name']}" if end.get("pod_name") else ""
    return _text(named or str((about.get("IP") or {}).get(which, "")), _TEXT)


def _text(found: str, most: int) -> str:
    """Cut, and without halves of characters, which JSON may hold and nobody else reads."""
    return found[:most].encode("utf-8", "replace").decode()


class Firewall:
    """Turns what the rules counted so far into what is new. Its state is plain JSON.

    Counters begin anew with a boot and when the rules are loaded: one that fell began anew, and so did all rows. A row
    that rested for a week is forgotten there, while the counter goes on: ``past`` is what it had.
    """

    def __init__(self, state: dict[str, Any]) -> None:
        self.seen: dict[str, int] = state.get("seen", {})
        self.unlisted: list[int] = state.get("unlisted", [0, 0])
        self.counted: int = state.get("counted", 0)
        self.past: int = state.get("past", 0)

    def state(self) -> dict[str, Any]:
        """As it is kept."""
        return {"seen": self.seen, "unlisted": self.unlisted, "counted": self.counted, "past": self.past}

    def grown(self, listing: str) -> Iterator[tuple[Row, int]]:
        """Rows and how much they grew, from `nft -j list table`. Raises ``ValueError`` for something else."""
        try:
            counted, rows = _counted(json.loads(listing))
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"the firewall's list cannot be read: {error}") from error
        if counted < self.counted:
            self.seen, self.past, self.unlisted = {}, 0, [0, 0]
        for key, before in self.seen.items():
            if rows.get(tuple(json.loads(key)), 0) < before:
                self.past += before
        self.counted = counted
        for row, count in rows.items():
            before = self.seen.get(json.dumps(row), 0)
            if count != before:
                yield row, count - before if count > before else count
        # Packets that no row names (neither TCP nor UDP). Rows and counters are not read in one moment: only what two
        # readings say is true.
        last, told = self.unlisted
        now = max(0, counted - self.past - sum(rows.values()))
        sure = min(last, now)
        if sure > told:
            yield ("firewall", "", "", "", 0), sure - told
        self.unlisted = [now, min(max(told, sure), now)]
        self.seen = {json.dumps(row): count for row, count in rows.items()}


def _counted(listing: Any) -> tuple[int, dict[Row, int]]:
    parts = listing["nftables"]
    total = sum(p["counter"]["packets"] for p in parts if p.get("counter", {}).get("name") in _COUNTERS)
    noted = next((p["set"] for p in parts if p.get("set", {}).get("name") == "tried"), {})
    rows = {}
    for listed in noted.get("elem", ()):
        element = listed["elem"]
        source, destination, protocol, port = element["val"]["concat"]
        row = ("firewall", str(source), str(destination), str(protocol), int(port))
        rows[row] = int(element.get("counter", {}).get("packets", 1))
    return total, rows


class Ledger:
    """What was refused, by row: how much of it is not told yet, and when it was told last. Its state is plain JSON."""

    def __init__(self, state: dict[str, list[Any]]) -> None:
        self.state = state

    def add(self, grown: Iterable[tuple[Row, int]]) -> None:
        """Count on."""
        for row, count in grown:
            key = json.dumps(row)
            if key not in self.state and len(self.state) >= ROWS:
                key = json.dumps((row[0], "", "", "", 0))
            waits, told = self.state.get(key, (0, None))
            self.state[key] = [waits + count, told]

    def due(self, now: float) -> list[dict[str, Any]]:
        """Rows to be told at ``now``, oldest first; they count as told. Those that rested for an hour are let go."""
        found: list[dict[str, Any]] = []
        for key, (waits, told) in list(self.state.items()):
            ready = told is None or not 0 <= now - told < AGAIN_SECONDS
            if not waits and ready:
                del self.state[key]
            elif waits and ready and len(found) < AT_ONCE:
                found.append({**dict(zip(KEYS, json.loads(key))), "packets": waits})  # noqa: B905 - Python 3.9's
                self.state[key] = [0, now]
        return found
