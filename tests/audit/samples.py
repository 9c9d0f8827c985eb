"""One event of every kind that the log records, with the OCSF class and activity it should have."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from appliance.audit import events, events_cluster, events_identity
from appliance.audit.events_documents import document_change
from appliance.audit.events_learning import expert_act, feedback, learning_decision, rollout_decision
from appliance.audit.events_operation import clock_behind, log_pruned, log_recovery
from appliance.audit.events_reading import log_read, memory_read

AT = datetime(2026, 11, 22, 12, 0, 0, 5000, tzinfo=UTC)
WHO = {"subject": "ab" * 16, "groups": ("analysts",)}
CALL = {"request_id": "r1", **WHO, "model_digest": "sha256:a5", "model_name": "demo"}
EVENTS: dict[str, tuple[dict[str, Any], int, int]] = {
    "sign_in": (events.sign_in(**WHO, session_id="s", client_id="sovereign-web", at=AT), 3002, 1),
    "sign_out": (events.sign_out(subject="ab", session_id="s", reason="back-channel", at=AT), 3002, 2),
    "request": (events.request(**CALL, prompt_commitment="sha256:00", sampler={"seed": 1}, at=AT), 6003, 1),
    "answer": (
        events.answer(
            **CALL,
            outcome="stop",
            prompt_tokens=10,
            completion_tokens=5,
            joules=1.25,
            duration_ms=30.0,
            answer_commitment="sha256:00",
            at=AT,
        ),
        6003,
        99,
    ),
    "refusal": (events.refusal(request_id="r1", reason_code="quota_exceeded", status=429, at=AT), 6003, 1),
    "model_load": (
        events.model_load(model_name="demo", model_digest="sha256:a5", waivers=[{"waives": ["x"], "n": 1}], at=AT),
        6002,
        3,
    ),
    "install_step": (events.install_step(step="database", release="1.0.0", actor="operator", at=AT), 6002, 1),
    "model_change": (
        events.model_change(
            action="promote", model_name="demo", model_digest="sha256:a5", actor="root", reason="trial", at=AT
        ),
        6002,
        8,
    ),
    "admin_change": (events.admin_change(actor="a", action="delete", kind="user", target="b", at=AT), 3004, 4),
    "feedback": (feedback(**WHO, action="update", verdict="down", reasons=("wrong",), sent=True, at=AT), 3004, 3),
    "expert_act": (expert_act(**WHO, action="create", what="ruling", target="f1", at=AT), 3004, 1),
    "learning_decision": (
        learning_decision(actor="uid 0", what="gate", target="sha256:00", figures={"passed": True}, at=AT),
        3004,
        1,
    ),
    "rollout_decision": (
        rollout_decision(target="1", figures={"evidence": 41.5}, action="delete", at=AT),
        3004,
        4,
    ),
    "document_change": (document_change(**WHO, digest="sha256:d0", detail="3 passages", at=AT), 3004, 1),
    "memory_read": (memory_read(**WHO, at=AT), 3004, 2),
    "log_read": (log_read(**WHO, what="entries", asked={"kind": "refusal"}, at=AT), 3004, 2),
    "identity_sign_in": (
        events_identity.identity_sign_in(subject=None, operation="LOGIN", error="user_not_found", at=AT),
        3002,
        1,
    ),
    "identity_sign_out": (events_identity.identity_sign_out(subject="ab", operation="LOGOUT", at=AT), 3002, 2),
    "account_change": (
        events_identity.account_change(subject="ab", operation="UPDATE_PASSWORD", activity=3, at=AT),
        3001,
        3,
    ),
    "identity_change": (
        events_identity.identity_change(
            actor="ab", activity=3, operation="UPDATE", resource="USER", path="users/ab", client_id="admin", at=AT
        ),
        3004,
        3,
    ),
    "identity_reading": (events_identity.identity_reading(events="events", since=1, kept_since=2, at=AT), 6002, 3),
    "api_call": (
        events_cluster.api_call(
            host="node1",
            call_id="u",
            stage="ResponseStarted",
            verb="create",
            user="kubernetes-admin",
            groups=("system:masters",),
            resource="pods/exec",
            namespace="sovereign",
            name="audit-0",
            code=101,
            at=AT,
        ),
        6003,
        1,
    ),
    "network_refusal": (
        events_cluster.network_refusal(
            host="node2",
            by="firewall",
            source="10.88.1.7",
            destination="203.0.113.9",
            protocol="tcp",
            port=443,
            packets=3,
            at=AT,
        ),
        4001,
        5,
    ),
    "cluster_reading": (
        events_cluster.cluster_reading(host="node1", of="calls", why="gone", place="x/0", at=AT),
        6002,
        3,
    ),
    "log_pruned": (log_pruned(end=256, until=1, days=184, actor="uid 0", at=AT), 6002, 2),
    "clock_behind": (clock_behind(seconds=3600, signed=1_795_348_800, at=AT), 6002, 99),
    "log_recovery": (log_recovery(size=1, replayed=2, dropped=3, at=AT), 6002, 5),
}
