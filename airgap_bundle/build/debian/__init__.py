"""Debian packages: resolved and fetched by apt in a root of its own, read here, never installed."""
