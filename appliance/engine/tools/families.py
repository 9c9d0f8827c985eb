"""How models word a call of a tool. A template belongs to the family whose marks it writes itself.

``tagged``: JSON between two marks, any number of times, after any text (the Hermes format, which Qwen 2.5 and 3 use).
``bare``: the whole answer is one JSON object (Llama 3.1 and later, custom tools).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Family:
    """``opening`` and ``closing`` stand around each call; without them the answer is a call or it is text.

    ``arguments`` is the key under which a call has them. The first character of ``opening`` occurs in it once: where a
    text begins like it and goes on otherwise, nothing of it can be the beginning of another.
    """

    name: str
    opening: str
    closing: str
    arguments: str
    marks: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.opening and self.opening[0] in self.opening[1:]:
            raise ValueError("the opening's first character occurs in it again")


FAMILIES = (
    Family("tagged", "<tool_call>", "</tool_call>", "arguments", ("<tool_call>", "</tool_call>")),
    Family("bare", "", "", "parameters", ("<|python_tag|>", '"parameters"')),
)


def family_of(template: str) -> Family | None:
    """The family whose marks all stand in ``template``; None where there is none."""
    return next((family for family in FAMILIES if all(mark in template for mark in family.marks)), None)
