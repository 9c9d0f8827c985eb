"""The loop: from what people say about answers to cases, their evaluation, and the gate that a change has to pass."""
