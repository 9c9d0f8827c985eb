"""What the engine and its client raise.

SovereignError
├── EngineRefusedError         this request cannot be served as asked (HTTP 422): ``code`` says why
├── SealBrokenError            a block on disk is not what was sealed; what it is a part of is computed again
├── DecodeError                llama.cpp failed in the middle of a request
│   ├── NoRoomError                no cells are left for a batch; nothing was changed
│   └── GivenUpError               the batch was given up for somebody who came new
└── DeploymentError
    ├── MemoryBudgetError      the model does not fit its ``memory_mib``
    ├── ConfinementError       a layer that confines the engine cannot be set, and no waiver covers it
    ├── BackendError           ggml's code for this processor is missing, altered or of no use here
    ├── KvArenaError           the file for what was computed cannot be opened
    ├── ModelLoadError         llama.cpp or the template engine refused the verified model
    └── UnavailableError
        ├── EngineBusyError        the queue is full (HTTP 429): come back in ``retry_after`` seconds
        └── EngineUnavailableError no engine answers, or it stopped in the middle of an answer
            ├── EngineAbsentError      no process listens where it should
            └── EngineDrainingError    it is about to stop and takes nothing new (HTTP 503)
"""

from __future__ import annotations

from appliance.errors import DeploymentError, SovereignError, UnavailableError


class EngineRefusedError(SovereignError):
    """The request itself is at fault; the same request will be refused again. ``code`` is stable."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class DecodeError(SovereignError):
    """A decode or sampling step failed; the request that ran it ends, the engine goes on."""


class NoRoomError(DecodeError):
    """The batch found no cells. The context is as it was before; room can be made, and the batch tried again."""


class GivenUpError(DecodeError):
    """The batch was given up because that was wanted; nothing is wrong with what is in it."""


class MemoryBudgetError(DeploymentError):
    """The engine would need, or uses, more memory than site.yaml grants it."""


class ConfinementError(DeploymentError):
    """The engine would be less confined than it must be; no model was opened. ``layer`` is the one that is missing."""

    def __init__(self, layer: str, reason: str, path: str | None = None) -> None:
        super().__init__(
            f"the engine cannot be confined by {layer}: {reason}" + (f" ({path})" if path else ""),
            "mend the host; where its kernel cannot, an officer may sign a waiver (`sovereign trust waive-host`)",
        )
        self.layer = layer


class ModelLoadError(DeploymentError):
    """The verified file or template cannot be served by this engine."""


class BackendError(DeploymentError):
    """No library of ggml's that this processor can run is there as the release delivered it."""


class SealBrokenError(SovereignError):
    """A block is not what was sealed: damaged, moved, cut off, or another secret's."""


class KvArenaError(DeploymentError):
    """The engine's own file for beginnings of prompts cannot be opened or made as large as site.yaml says."""


class EngineBusyError(UnavailableError):
    """The queue is full. ``retry_after`` is in whole seconds, at least 1; ``position`` is the place there would be."""

    def __init__(self, retry_after: int, position: int = 0) -> None:
        super().__init__("the engine's queue is full", f"try again in {retry_after} s")
        self.retry_after = retry_after
        self.position = position


class EngineUnavailableError(UnavailableError):
    """No engine answers on the socket, or it stopped in the middle of an answer."""


class EngineAbsentError(EngineUnavailableError):
    """The engine does not run: nothing listens on its socket."""


class EngineDrainingError(EngineUnavailableError):
    """The engine finishes what it has begun and takes nothing new."""
