"""Progress of an installation's steps on stderr: a spinner, the time taken, bytes where a step counts them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from appliance.cli.terminal import say

if TYPE_CHECKING:
    from types import TracebackType

    from appliance.install.runner import Step


class StepProgress:
    """Implements ``appliance.install.runner.Observer``. Several steps may be under way; called from any thread."""

    def __init__(self) -> None:
        console = Console(stderr=True, highlight=False)
        self._live = console.is_terminal
        columns = (SpinnerColumn(finished_text="✓"), TextColumn("{task.description}"), BarColumn(bar_width=20))
        self._bar = Progress(*columns, TimeElapsedColumn(), console=console)
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._tasks:
            self._bar.stop()

    def started(self, step: Step) -> None:
        """Show the step with a spinner."""
        if not self._live:
            say(f"  {step.name}: {step.title}")
            return
        self._bar.start()
        self._tasks[step.name] = self._bar.add_task(step.title, total=None)

    def advanced(self, step: Step, done: int, total: int) -> None:
        """Fill the step's bar."""
        if step.name in self._tasks:
            self._bar.update(self._tasks[step.name], completed=done, total=total)

    def finished(self, step: Step, seconds: float) -> None:
        """Stop the step's spinner."""
        if step.name in self._tasks:
            self._bar.update(self._tasks[step.name], completed=1, total=1)
        else:
            say(f"  {step.name}: done in {seconds:.1f} s")

    def skipped(self, step: Step) -> None:
        """Steps that are in place are not shown."""

    def failed(self, step: Step) -> None:
        """Mark the step."""
        if step.name in self._tasks:
            self._bar.update(self._tasks[step.name], description=f"{step.title}: failed")
            self._bar.stop_task(self._tasks[step.name])
        else:
            say(f"  {step.name}: failed")
