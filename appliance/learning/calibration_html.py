"""The report of a calibration as one HTML page: no scripts, nothing fetched, and no word of a question or an answer.

The content security policy in the page allows its own style sheet by digest and nothing else.
"""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from appliance.learning.calibrating import MOST_ECE
from appliance.learning.reliability import FOLDS
from appliance.learning.reliability_svg import diagram

if TYPE_CHECKING:
    from collections.abc import Sequence

    from appliance.learning.calibrating import Made


def render(made: Made, name: str, results: Sequence[str]) -> str:
    """The page about a calibration of the model ``name``; ``results`` are digests of the files that it is of."""
    loader = ChoiceLoader([PackageLoader("appliance.learning"), PackageLoader("appliance.audit")])
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    style, _, _ = loader.get_source(environment, "usage.css")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    found = made.found
    return environment.get_template("calibration.html").render(
        made=made.calibration,
        found=found,
        refusals=made.refusals,
        left_out=made.left_out,
        name=name,
        results=results,
        folds=FOLDS,
        most=MOST_ECE,
        plot=diagram(
            "What was said of answers, and what share of them was right",
            [("tokens alone", "c3", found.before.bins), ("calibrated, held out", "c1", found.after.bins)],
        ),
        style=Markup(style),  # noqa: S704 - our own file; its digest is in the policy
        style_digest=digest,
    )
