"""Errors of the learning loop.

UsageError
├── CalibrationError              labels that are too few or of several models, or a calibration that cannot be read
├── CaseError                     a case that says nothing that can be checked, or a file of them that cannot be read
├── CaseRefusedError              the site refuses to answer one case: it is worth nothing, and the others are asked
├── ExchangeError                 a draft, an approval or a file of the exchange that is not what it has to be
└── ResultError                   a file of results that is damaged, of another run, or not to be compared
RefusedError
├── CalibrationRefusedError       what was fitted does not hold on answers that it had not seen
├── ExchangeRefusedError          what came from a site, or is to leave one, is not taken: forged, older, unapproved
└── GateRefusedError              the change does not pass
UnavailableError
└── SpentError                    nothing more is answered for now, a quota is used up: the run ends and goes on later
"""

from __future__ import annotations

from appliance.errors import RefusedError, UnavailableError, UsageError


class CalibrationError(UsageError):
    """Labels that are too few, or of several models, or a calibration that cannot be read."""


class CalibrationRefusedError(RefusedError):
    """A calibration that does not hold on answers that it had not seen, or says no more than their share does."""


class CaseError(UsageError):
    """A case that says nothing that can be checked, or a file of cases that cannot be read."""


class CaseRefusedError(UsageError):
    """The site refuses to answer one case, for what is in it. ``code`` says why, in one word."""

    def __init__(self, cause: str, code: str) -> None:
        super().__init__(cause, "retire it, or shorten it")
        self.code = code


class ResultError(UsageError):
    """A file of results that is damaged, belongs to another run, or cannot be compared with the other."""


class ExchangeError(UsageError):
    """A draft, an approval or a file of the exchange that is not in its form, or not what it says it is."""


class ExchangeRefusedError(RefusedError):
    """What came from a site, or is to leave one, is not taken: forged, older than what is there, or not approved."""


class GateRefusedError(RefusedError):
    """The change is worse than what is in force beyond noise, or not better where it was said to be."""


class SpentError(UnavailableError):
    """Nothing more is answered for now, because a quota is used up. It ends a run, which goes on later."""
