"""Errors about packs.

UsageError
└── PackError                     a folder that makes no pack, or a command about one that is not there or in use
RefusedError
├── PackRefusedError              a pack that is not what its format says, or that the site's policy does not accept
└── PackLostError                 what a group answers under cannot be established: its people are not answered
"""

from __future__ import annotations

from appliance.errors import RefusedError, UsageError


class PackError(UsageError):
    """A folder that makes no pack, or a command about a pack that is not there, or that a group uses."""


class PackRefusedError(RefusedError):
    """A pack breaks its format, or the site's policy does not accept it; nothing was changed."""


class PackLostError(RefusedError):
    """What a group answers under cannot be established, because a record or a file is missing or damaged."""
