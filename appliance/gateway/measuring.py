"""Whether, and by what, an answer's confidence is judged: by the group that pays for it, and by what was calibrated.

Asked anew for each request, so a calibration is in force with the next question. Another model or another adapter than
those it was made for has none; and under other instructions, another pack or brief, other settings of documents or
thresholds (``shaping``) than those that it was learnt under, it says nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import SQLAlchemyError

from appliance.gateway import evaluation
from appliance.gateway.database import needed
from appliance.gateway.errors import UnprocessableError
from appliance.gateway.judging import BETA, Judging
from appliance.gateway.shaping import shaped
from appliance.learning.calibration import NO_ADAPTER

if TYPE_CHECKING:
    from appliance.engine.client import ModelInfo
    from appliance.gateway.calibrations import CalibrationStore
    from appliance.gateway.entitlements import Grant
    from appliance.gateway.grounding import Grounding
    from appliance.gateway.judging import Unmeasured
    from appliance.learning.calibration import Calibration


class Measuring:
    """Decides it by what ``calibrations`` holds."""

    def __init__(self, calibrations: CalibrationStore) -> None:
        self._calibrations = calibrations

    async def of(
        self, granted: Grant, model: ModelInfo, purpose: str, grounding: Grounding | None, *, told: bool
    ) -> Judging | None:
        """None where nothing is measured: for groups without the feature, and where the site itself abstains.

        ``told``: the answer is given under the group's instructions. Raises ``NotReadyError`` when the database does
        not answer, and ``UnprocessableError`` for a bare prompt where the group withholds what is too unsure: nothing
        was measured of those, and whoever asks is not to choose what is looked at.
        """
        beta, evaluates = BETA in granted.group.beta, purpose == evaluation.PURPOSE
        if not (beta or evaluates) or (grounding is not None and grounding.outcome == "abstained"):
            return None
        under = shaped(granted, model, grounding, told=told)
        found = await self._calibration(granted, model)
        limit = granted.group.confidence if not evaluates else None
        if not told and found is not None and limit is not None and limit.then != "mark":
            raise UnprocessableError(
                f"{granted.group.name} is given no answer that is too unsure, and of a bare prompt that is not known",
                "POST /v1/chat/completions",
                code="threshold_in_force",
            )
        why = _unmeasured(found, under, grounded=grounding is not None and bool(grounding.passages))
        threshold = limit if why is None else None
        return Judging(found if why is None else None, threshold, beta, under, why)

    async def standing(
        self, granted: Grant, model: ModelInfo, grounding: Grounding | None, *, grounded: bool
    ) -> dict[str, Any]:
        """Whether answers of ``granted`` say how sure they are now, and if not, why; ``grounded``: from documents."""
        under = shaped(granted, model, grounding, told=True)
        found = await self._calibration(granted, model)
        why = _unmeasured(found, under, grounded=grounded)
        return {
            "setting": under,
            "calibration": found.digest if found is not None else None,
            "labels": found.labels if found is not None else None,
            "unmeasured": why,
        }

    async def _calibration(self, granted: Grant, model: ModelInfo) -> Calibration | None:
        receipt = model.receipt
        adapter = NO_ADAPTER if granted.adapter is None else str(receipt["adapters"][granted.adapter]["digest"])
        try:
            with needed():
                return await self._calibrations.of(str(receipt["digest"]), adapter)
        except SQLAlchemyError:
            return None  # a database of another release: nothing is calibrated there


def _unmeasured(found: Calibration | None, under: str, *, grounded: bool) -> Unmeasured | None:
    """Why the calibration ``found`` says nothing of an answer; None where it does."""
    if found is None:
        return "not_calibrated"
    if under not in found.settings:
        return "other_setting"
    return None if found.covers(grounded=grounded) else "other_sort"
