"""The engine of a model that makes vectors of texts: batches of whole texts, in fair order, no memory of any."""
