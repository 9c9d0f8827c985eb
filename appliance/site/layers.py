"""Names of the layers that confine an engine. Each is required; what a kernel may lack, an officer may waive."""

from __future__ import annotations

from typing import Literal, get_args

Layer = Literal["unprivileged", "no_new_privs", "seccomp", "landlock"]
Waivable = Literal["seccomp", "landlock"]
LAYERS: tuple[Layer, ...] = get_args(Layer)
WAIVABLE_LAYERS: frozenset[str] = frozenset(get_args(Waivable))
