"""The alternative engine: llama.cpp's own server, hardened, behind the same protocol (ADR 89)."""
