"""The engine: one model, one llama.cpp context, one thread that decodes, reached over a Unix socket only."""
