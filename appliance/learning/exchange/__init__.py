"""Across sites: what one site learnt travels back to the builder, is merged there, and comes with the next release."""
