"""Signing by persons on separate machines: drafts, requests and responses, a root's life, and where keys lie.

Where to begin: ``release_draft`` and ``root_draft`` are what is being signed, pure and without I/O; ``request`` and
``response`` carry it between machines; ``backend`` opens a signer's keys, in a file or on a token.
"""
