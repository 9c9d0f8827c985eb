"""Prompts of a stated length, made from a seed: rules of an office that does not exist.

Text with structure is continued at length by any language model, so that two engines write as many tokens; and another
seed gives text that shares no beginning with this one, so that nothing is found in any cache.
"""

from __future__ import annotations

import random

_WHO = ("officer", "keeper", "clerk", "inspector", "operator", "registrar")
_WHAT = ("model", "record", "bundle", "key", "relay", "valve", "pump", "ledger", "signature", "cable")
_DONE = ("approved", "checked", "signed", "counted", "sealed", "measured", "repaired")
_WHERE = ("zone", "harbour", "station", "network", "archive", "depot")


def rules(seed: int, count: int) -> str:
    """``count`` numbered rules, about 22 tokens each; the first names ``seed``, so that no other text begins alike."""
    draw = random.Random(seed)
    lines = [f"Rules of register {seed}."]
    for number in range(1, count + 1):
        what, who = draw.choice(_WHAT), draw.choice(_WHO)
        done, where = draw.choice(_DONE), draw.choice(_WHERE)
        lines.append(f"Rule {number}: every {what} must be {done} by {who} {draw.randrange(100)} in the {where}.")
    return "\n".join(lines)


def continued(seed: int, count: int) -> str:
    """A prompt that goes on by itself: the rules, and the beginning of the next."""
    return f"{rules(seed, count)}\nRule {count + 1}: every"


def asked(prefix: str, number: int) -> str:
    """A prompt that shares ``prefix`` with others and ends with a question of its own."""
    return f"{prefix}\n\nList for inspector {number}:\nItem 1: every"


def words(seed: int, count: int) -> str:
    """``count`` words without structure, as one heavy user's documents."""
    draw = random.Random(seed)
    return " ".join(draw.choice(_WHAT + _WHO + _WHERE + _DONE) for _ in range(count))
