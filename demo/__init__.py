"""The demonstration behind `make demo`: every step is the real command that an operator would type."""
