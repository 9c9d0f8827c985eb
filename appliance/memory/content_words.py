"""A question without the words that its language cannot do without.

Those are left out by the database where a passage of that language is searched. In passages of another language they
are rare, so that they would be taken for what the question is about.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import text

from appliance.memory.language import CONFIGURATION, leaning

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import TextClause
    from sqlalchemy.ext.asyncio import AsyncConnection

    from appliance.memory.language import Language

_NAMED: dict[Language, str] = {one: name for one, name in CONFIGURATION.items() if one != "other"}


def _telling(*names: str) -> TextClause:
    """A Snowball dictionary gives an empty array for a word that it leaves out (PostgreSQL, 12.6.1)."""
    kept = " AND ".join(f"ts_lexize('{name}_stem', token) IS DISTINCT FROM '{{}}'" for name in names)
    return text(f"SELECT coalesce(string_agg(token, ' '), '') FROM ts_parse('default', :question) WHERE {kept}")  # noqa: S608 - names of this module


TELLING: Mapping[Language, TextClause] = {
    **{one: _telling(name) for one, name in _NAMED.items()},
    "other": _telling(*_NAMED.values()),
}
"""For each language of a question; where it does not tell, the words of every language are left out."""


async def content_words(connection: AsyncConnection, question: str) -> str:
    """What ``question``, in small letters, is about; all of it where nothing would be left."""
    told = str((await connection.execute(TELLING[leaning(question)], {"question": question})).scalar_one())
    return told if any(map(str.isalnum, told)) else question
