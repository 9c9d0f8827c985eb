"""Options of the commands that ask cases of the running site: which answers are drawn, how many, and who asks."""

from __future__ import annotations

from typing import Annotated

import typer

SeedOption = Annotated[int, typer.Option(min=0, max=2**31 - 1, help="Draws the answers.")]
MaxTokensOption = Annotated[int, typer.Option(min=1, max=4096, help="The most tokens of an answer.")]
TokensOption = Annotated[
    int | None, typer.Option(min=1, help="Stop after so many tokens; default: a quarter of the group's day.")
]
ClientOption = Annotated[str | None, typer.Option(help="Service client that asks; default: the one that evaluates.")]
TrialOption = Annotated[bool, typer.Option("--dry-run", help="Say what would be asked and changed; do neither.")]
