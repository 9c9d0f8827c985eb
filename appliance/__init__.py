"""The sovereign appliance: the installer, and the assistant that it runs."""

__version__ = "0.1.0"
