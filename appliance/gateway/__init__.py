"""The gateway: the one door to the models. Page, OpenAI-compatible API, entitlements, quotas, receipts.

Nobody reaches an engine except through here, and here no token leaves before its entry is durable in the audit log.
``server.serve`` runs it, ``app.create_app`` builds it from its parts.
"""
