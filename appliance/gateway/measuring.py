"""Whether, and by what, an answer's confidence is judged: by the group that pays for it, and by what was calibrated.

Asked anew for each request, so a calibration is in force with the next question. Another model or another adapter than
those it was made for has none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError

from appliance.gateway import evaluation
from appliance.gateway.database import needed
from appliance.gateway.judging import BETA, Judging
from appliance.learning.calibration import NO_ADAPTER

if TYPE_CHECKING:
    from appliance.engine.client import ModelInfo
    from appliance.gateway.calibrations import CalibrationStore
    from appliance.gateway.entitlements import Grant
    from appliance.gateway.grounding import Grounding
    from appliance.learning.calibration import Calibration


class Measuring:
    """Decides it by what ``calibrations`` holds."""

    def __init__(self, calibrations: CalibrationStore) -> None:
        self._calibrations = calibrations

    async def of(self, granted: Grant, model: ModelInfo, purpose: str, grounding: Grounding | None) -> Judging | None:
        """None where nothing is measured: for groups without the feature, and where the site itself abstains.

        Raises ``NotReadyError`` when the database does not answer.
        """
        beta, evaluates = BETA in granted.group.beta, purpose == evaluation.PURPOSE
        if not (beta or evaluates) or (grounding is not None and grounding.outcome == "abstained"):
            return None
        found = await self._calibration(granted, model)
        covers = found is not None and found.covers(grounded=grounding is not None and bool(grounding.passages))
        threshold = granted.group.confidence if covers and not evaluates else None
        return Judging(found, threshold, beta)

    async def _calibration(self, granted: Grant, model: ModelInfo) -> Calibration | None:
        receipt = model.receipt
        adapter = NO_ADAPTER if granted.adapter is None else str(receipt["adapters"][granted.adapter]["digest"])
        try:
            with needed():
                return await self._calibrations.of(str(receipt["digest"]), adapter)
        except SQLAlchemyError:
            return None  # a database of another release: nothing is calibrated there
