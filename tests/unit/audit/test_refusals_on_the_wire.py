"""What the writer refuses for good is told as that: nobody is to try again for ever."""

from __future__ import annotations

import httpx
import pytest

from appliance.audit import replies, wire
from appliance.audit.errors import (
    AuditUnavailableError,
    BadRequestError,
    EntryPrunedError,
    EntryRefusedError,
    EntryTooLargeError,
    IdReusedError,
    LogFullError,
    NotYoursError,
    TooYoungError,
)
from appliance.errors import LogInconsistentError, SovereignError

FINAL = (
    BadRequestError("no number"),
    EntryPrunedError(7, 256),
    EntryRefusedError("no event"),
    EntryTooLargeError("too much"),
    IdReusedError("used"),
    NotYoursError("not yours"),
    TooYoungError("too young"),
)
PASSING = (LogFullError("full"), AuditUnavailableError("gone"), LogInconsistentError("torn"))


def told(error: SovereignError) -> SovereignError:
    status, body = replies.refused(error)
    with pytest.raises(SovereignError) as caught:
        wire.read_answer(httpx.Response(status, json=body))
    return caught.value


@pytest.mark.parametrize("error", FINAL, ids=lambda one: type(one).__name__)
def test_a_final_refusal_is_final_at_the_other_end(error: SovereignError) -> None:
    found = told(error)
    assert isinstance(found, EntryRefusedError)
    assert found.cause == error.cause


@pytest.mark.parametrize("error", PASSING, ids=lambda one: type(one).__name__)
def test_what_may_pass_is_unavailability(error: SovereignError) -> None:
    assert isinstance(told(error), AuditUnavailableError)
