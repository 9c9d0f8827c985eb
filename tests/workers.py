"""How pytest-xdist gives units of tests to workers: in the order of collection, whole, and none is lost in a crash."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xdist.scheduler import LoadScopeScheduling

from tests.division import unit_of

if TYPE_CHECKING:
    import pytest
    from xdist.remote import Producer
    from xdist.workermanage import WorkerController


class ByUnit(LoadScopeScheduling):
    """Whichever worker is free takes the next unit."""

    def __init__(self, config: pytest.Config, log: Producer | None = None) -> None:
        super().__init__(config, log)
        config.option.loadscopereorder = False  # or units with many tests would go first, however short they are

    def _split_scope(self, nodeid: str) -> str:
        return unit_of(nodeid)

    def _reschedule(self, node: WorkerController) -> None:
        """A worker that has not yet said what it collected cannot be given anything; once it has, it is asked again."""
        if node in self.registered_collections:
            super()._reschedule(node)

    def remove_node(self, node: WorkerController) -> str | None:
        """Take the work of a worker that ended; the value is the test during which it did, None when all was done.

        That test has failed and is not tried again, or it would end the next worker too; what else the worker had not
        done, another one does.
        """
        work = self.assigned_work.pop(node)
        left = [(unit, test) for unit, tests in work.items() for test, done in tests.items() if not done]
        if not left:
            return None
        unit, crashed = left[0]
        work[unit][crashed] = True
        self.workqueue.update({name: tests for name, tests in work.items() if not all(tests.values())})
        for other in self.assigned_work:
            self._reschedule(other)
        return crashed
