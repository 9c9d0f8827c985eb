"""Test hosts: real Debian machines in containers of their own, with no way out. Needs root and systemd-nspawn."""
