"""The steps of an installation, as data: which there are, what each depends on, what it builds on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from appliance.install.steps.release import release_steps
from appliance.install.steps.secrets import secret_steps
from appliance.install.steps.service import service_steps
from appliance.install.steps.site import site_steps

if TYPE_CHECKING:
    from appliance.install.runner import Step
    from appliance.install.steps.context import Context

__all__ = ["install_steps"]


def install_steps(context: Context) -> tuple[Step, ...]:
    """Every step from a verified release to a site that answers, in an order that respects their dependencies."""
    return (*site_steps(context), *release_steps(context), *secret_steps(context), *service_steps(context))
