"""Prometheus metrics. Labels are models, outcomes and codes: nothing that names a person or a group."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Metrics:
    """The gateway's own registry, so that two apps in one process (tests) do not meet."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.answers = Counter(
            "sovereign_answers", "Answers by model and outcome", ["model", "outcome"], registry=self.registry
        )
        self.refusals = Counter(
            "sovereign_refusals", "Refused requests by status and code", ["status", "code"], registry=self.registry
        )
        self.unlogged_refusals = Counter(
            "sovereign_refusals_unlogged",
            "Refusals over the log's rate bound, or while the log was down",
            ["reason"],
            registry=self.registry,
        )
        self.tokens = Counter("sovereign_tokens", "Tokens by model and kind", ["model", "kind"], registry=self.registry)
        self.tool_calls = Counter(
            "sovereign_tool_calls", "Calls of tools that answers made", ["model"], registry=self.registry
        )
        self.signals = Counter(
            "sovereign_answer_signals",
            "Answers of conversations that were asked for again soon, left, or that declined",
            ["model", "signal"],
            registry=self.registry,
        )
        self.spared = Counter(
            "sovereign_spared_tokens",
            "Prompt tokens that were not computed again, as receipts count them, by where they lay",
            ["model", "tier"],
            registry=self.registry,
        )
        self.rollout_answers = Counter(
            "sovereign_rollout_answers",
            "Answers of staged rollouts by arm, old or new, and by outcome and signal, of all groups in sum",
            ["arm", "outcome"],
            registry=self.registry,
        )
        self.joules = Counter("sovereign_joules", "Energy of answers by model", ["model"], registry=self.registry)
        self.running = Gauge("sovereign_answers_running", "Answers under way", ["model"], registry=self.registry)
        self.first_token = Histogram(
            "sovereign_first_token_seconds",
            "Time from admission to the first token",
            ["model"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.log_wait = Histogram(
            "sovereign_log_wait_seconds",
            "Time that an answer waited for its log entry after the engine had admitted it",
            buckets=(0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1),
            registry=self.registry,
        )
        self.upkeep_failures = Counter(
            "sovereign_upkeep_failures", "Housekeeping that failed, by task", ["task"], registry=self.registry
        )

    def text(self) -> bytes:
        """The exposition format."""
        return generate_latest(self.registry)
