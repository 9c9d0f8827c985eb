"""Signed offline bundles: format, lock, build, sign, verify."""
