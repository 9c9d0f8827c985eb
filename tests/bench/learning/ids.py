"""Numbers of documents and cases that are the same in every run, so that a run that was ended goes on where it was.

The site draws them by chance. A brief is ordered by its documents' numbers, and which cases judge it goes by theirs; so
with others each time, prompts would be others, and no answer that was kept would fit. Whoever is ``named`` gets a
number that its name makes; everybody else goes on drawing by chance.
"""

from __future__ import annotations

import uuid
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from appliance.gateway import gold_cases
from appliance.memory import store

if TYPE_CHECKING:
    from collections.abc import Iterator

SEED = 20_261_127
_SPACE = uuid.UUID(int=SEED)
_name: ContextVar[str | None] = ContextVar("name", default=None)


class _Named:
    """Stands in the place of the module ``uuid``."""

    def __getattr__(self, name: str) -> Any:
        return getattr(uuid, name)

    @staticmethod
    def uuid4() -> uuid.UUID:
        name = _name.get()
        return uuid.uuid4() if name is None else number(name)


def number(name: str) -> uuid.UUID:
    """The number of whoever is called so: of no version that a draw would give, and as good as one."""
    return uuid.uuid5(_SPACE, name)


@contextmanager
def seeded() -> Iterator[None]:
    """Documents and cases that are made inside get the numbers of their names."""
    with ExitStack() as stack:
        for module in (store, gold_cases):
            stack.enter_context(patch.object(module, "uuid", _Named()))
        yield


@contextmanager
def named(name: str) -> Iterator[None]:
    """What is made inside is called ``name``; of one thing at a time."""
    token = _name.set(name)
    try:
        yield
    finally:
        _name.reset(token)
