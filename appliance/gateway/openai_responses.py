"""Response objects of the OpenAI-compatible API: pure shapes; the receipt is under the extension key ``sovereign``."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from appliance.gateway.grounding import shown
from appliance.gateway.jobs import CHAT
from appliance.gateway.openai_logprobs import chat_logprobs, completion_logprobs
from appliance.gateway.openai_tools import worded, worded_piece
from appliance.gateway.steps import Called
from appliance.gateway.tally import STOP

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from appliance.engine.client import ModelInfo
    from appliance.engine.protocol import TokenLogprob
    from appliance.gateway.answers import Answer
    from appliance.gateway.jobs import Job
    from appliance.gateway.steps import Text
    from appliance.gateway.tally import Tally

Object = dict[str, Any]
_PLURAL = {"receipt": "receipts", "citations": "citations", "confidence": "confidence"}


def model_list(models: Mapping[str, ModelInfo]) -> Object:
    """GET /v1/models."""
    return {"object": "list", "data": [model_object(name, info) for name, info in models.items()]}


def model_object(name: str, info: ModelInfo) -> Object:
    """One model; ``sovereign`` says what the model gate found."""
    return {
        "id": name,
        "object": "model",
        "created": 0,
        "owned_by": info.receipt.get("producer") or "unknown",
        "sovereign": {"model": _shown(info.receipt), "context_tokens": info.context_tokens},
    }


def _shown(receipt: Mapping[str, Any]) -> Object:
    """The model's part of a receipt without its adapters, which are other groups' too."""
    return {name: value for name, value in receipt.items() if name != "adapters"}


def wordings(jobs: Sequence[Job]) -> list[Wording]:
    """The objects of each answer to one call."""
    created = int(time.time())
    return [Wording(job, index, jobs[0].request_id, created) for index, job in enumerate(jobs)]


def whole(answers: Sequence[Answer], receipts: Sequence[Object]) -> Object:
    """All answers to one call in one piece, and what they took together.

    ``sovereign.receipt`` is the only answer's; of several, ``sovereign.receipts`` has them in the order of the choices.
    So with ``sovereign.citations``, where documents were asked for, and ``sovereign.confidence``, where it is measured.
    """
    worded = wordings([answer.job for answer in answers])
    choices = [wording.choice(answer.tally) for wording, answer in zip(worded, answers, strict=True)]
    each = [told(answer, receipt) for answer, receipt in zip(answers, receipts, strict=True)]
    ours = each[0] if len(each) == 1 else {_PLURAL[name]: [one[name] for one in each] for name in each[0]}
    return worded[0].response(choices, total(summed(answers)), ours)


def told(answer: Answer, receipt: Object) -> Object:
    """What is said of one answer: its receipt; where documents were asked for, its citations with their words.

    And how sure it is, where that is measured.
    """
    grounding, rested, judging = answer.job.grounding, answer.tally.rested, answer.job.judging
    sure = {"confidence": judging.told(answer.tally.judged)} if judging is not None else {}
    if grounding is None or rested is None:
        return {"receipt": receipt, **sure}
    return {"receipt": receipt, "citations": shown(rested, grounding), **sure}


def summed(answers: Sequence[Answer]) -> Object:
    """What the answers took together: each of them read the prompt, or found it read."""
    return {name: sum(answer.tally.usage[name] for answer in answers) for name in answers[0].tally.usage}


class Wording:
    """The objects of one answer; the same id, time and model in all of them, and in those of its neighbours."""

    def __init__(self, job: Job, index: int, request_id: str, created: int) -> None:
        self._chat = job.operation == CHAT
        prefix, kind = ("chatcmpl", "chat.completion") if self._chat else ("cmpl", "text_completion")
        self._kind = kind
        self._index = index
        self._logprobs_wanted = job.sampling.top_logprobs is not None
        self._called = False
        self._offset = 0
        self._common = {
            "id": f"{prefix}-{request_id}",
            "created": created,
            "model": job.grant.model,
            "system_fingerprint": "fp_" + job.model.receipt["digest"].removeprefix("sha256:")[:16],
        }

    def choice(self, tally: Tally) -> Object:
        """The answer in one piece."""
        text = tally.text
        self._called = bool(tally.calls)
        choice: Object = {
            "index": self._index,
            "finish_reason": self._reason(tally.outcome),
            "logprobs": self._logprobs(tally.logprobs),
        }
        if self._chat:
            choice["message"] = {"role": "assistant", "content": text, "refusal": None}
            if tally.calls:
                choice["message"] |= {"content": text or None, "tool_calls": worded(tally.calls)}
        else:
            choice["text"] = text
        return choice

    def response(self, choices: list[Object], usage: Object, told: Object) -> Object:
        """The object around ``choices``."""
        return {**self._common, "object": self._kind, "choices": choices, "usage": usage, "sovereign": told}

    def first(self) -> Object | None:
        """A chat's stream opens with the role."""
        return self._chunk({"role": "assistant", "content": ""}, "", None) if self._chat else None

    def piece(self, step: Text | Called) -> Object:
        """A piece of the answer; a call of a tool comes whole."""
        if isinstance(step, Called):
            self._called = True
            return self._chunk(worded_piece(step.call, step.number), "", None)
        chunk = self._chunk({"content": step.text}, step.text, None)
        chunk["choices"][0]["logprobs"] = self._logprobs(step.logprobs)
        return chunk

    def last(self, outcome: str) -> Object:
        """The chunk that says how it ended."""
        return self._chunk({}, "", self._reason(outcome))

    def _reason(self, outcome: str) -> str:
        return "tool_calls" if outcome == STOP and self._called else outcome

    def usage(self, usage: Object) -> Object:
        """The chunk that ``stream_options.include_usage`` asks for."""
        return {**self._common, "object": self._chunk_kind, "choices": [], "usage": total(usage)}

    def _logprobs(self, found: Sequence[TokenLogprob]) -> Object | None:
        if not self._logprobs_wanted:
            return None
        if self._chat:
            return chat_logprobs(found)
        shown = completion_logprobs(found, self._offset)
        self._offset += sum(map(len, shown["tokens"]))
        return shown

    @property
    def _chunk_kind(self) -> str:
        return "chat.completion.chunk" if self._chat else "text_completion"

    def _chunk(self, delta: Object, text: str, finish_reason: str | None) -> Object:
        choice: Object = {"index": self._index, "finish_reason": finish_reason, "logprobs": None}
        choice.update({"delta": delta} if self._chat else {"text": text})
        return {**self._common, "object": self._chunk_kind, "choices": [choice]}


def total(usage: Object) -> Object:
    """Usage with OpenAI's names."""
    prompt, completion = usage["prompt_tokens"], usage["completion_tokens"]
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": usage["cached_tokens"], "audio_tokens": 0},
    }
