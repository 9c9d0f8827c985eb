"""The `sovereign` command: parses, calls the subpackages, renders. No decision is taken here."""
