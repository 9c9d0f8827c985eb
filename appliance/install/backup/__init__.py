"""Backups of a site: written sealed and signed, checked, and made a site again on another host."""
