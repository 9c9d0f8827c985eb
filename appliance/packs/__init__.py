"""Packs: an organisation's values and language as one signed file, with the cases that show whether it works."""
