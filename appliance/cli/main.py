"""The command tree that people see: each command, one line about it, and the modules that hold it."""

from __future__ import annotations

from typing import ClassVar

from appliance.cli.lazy import Entry, LazyGroup
from appliance.cli.root import new_app

BUNDLE = ("bundle", "bundle_build", "bundle_store", "bundle_media", "bundle_delta", "bundle_inputs")
TRUST = ("trust", "trust_card", "waive_host")
MODEL = ("model", "model_publish", "model_serve")
HOST = ("host",)


class CommandTree(LazyGroup):
    """``sovereign``, in the order in which its help lists the commands."""

    entries: ClassVar = {
        "preflight": Entry("Check whether this host can hold the site; nothing is changed.", HOST, group=False),
        "install": Entry("Verify a bundle and install it, a delta included; run again it repairs.", HOST, group=False),
        "upgrade": Entry("Go to a newer release; says before whether it could return.", ("host_upgrade",), group=False),
        "rollback": Entry("Go back to a release that this site ran before.", ("host_rollback",), group=False),
        "status": Entry("Show what runs, what is in force and what to act on.", HOST, group=False),
        "up": Entry("Start the site and wait until it is ready.", HOST, group=False),
        "down": Entry("Stop the site; its data stay.", HOST, group=False),
        "backup": Entry("Back up the site, sealed to a recovery key; check a backup.", ("backup", "backup_run")),
        "restore": Entry("Make a site again from its backup, on a host that has none.", ("restore",), group=False),
        "certificates": Entry("Issue the site's certificates anew before they end.", ("certificates",)),
        "support-bundle": Entry("Collect what somebody who helps may see, redacted.", ("support",), group=False),
        "uninstall": Entry("Remove the site and everything in it: conversations, log, keys.", HOST, group=False),
        "unseal": Entry("Unseal the services' secrets (called by the boot unit).", HOST, group=False, hidden=True),
        "resume": Entry("Bring a site back whose service manager was killed.", HOST, group=False, hidden=True),
        "chat": Entry("Ask the assistant from this terminal.", ("chat",), group=False),
        "bundle": Entry("Lock, build, sign, verify and inspect offline bundles.", BUNDLE),
        "trust": Entry("Make, change and show the root of trust, signers' keys and waivers.", TRUST),
        "model": Entry("Sign models; show, check and change those of a site.", MODEL),
        "document": Entry(
            "Give the assistant documents, by group; list, search and delete them.",
            ("document", "document_import", "document_sync", "document_vectors"),
        ),
        "memory": Entry(
            "The hierarchy of memories: what each tier spares, and briefs compiled overnight.",
            ("memory", "memory_compile", "memory_brief"),
        ),
        "learn": Entry(
            "Gold cases, evaluation, the gate that a change has to pass, its rollout, and the exchange between sites.",
            (
                "learn",
                "learn_evaluate",
                "learn_gate",
                "learn_calibrate",
                "learn_status",
                "learn_rollout",
                "learn_export",
                "learn_send",
                "learn_import",
            ),
        ),
        "pack": Entry(
            "An organisation's values and words, signed: made, brought, put in force for a group.",
            ("pack", "pack_site", "pack_use"),
        ),
        "audit": Entry("Check the audit log, report use, prove one entry. Works offline.", ("audit",)),
        "reveal": Entry("Show what was said behind an entry, when two auditors agree.", ("reveal",)),
        "inventory": Entry("Tell a builder what this site holds, so that a delta suffices.", ("inventory",)),
        "return": Entry("Send signed files back across the gap, and check what a site sent.", ("returns",)),
        "user": Entry("Import and list people; give out or erase what is held about one.", ("user", "user_person")),
        "client": Entry("Programs that call the API with credentials of their own.", ("client",)),
        "identity": Entry("Compare Keycloak with what the site file says.", ("identity",)),
    }


app = new_app(CommandTree)
