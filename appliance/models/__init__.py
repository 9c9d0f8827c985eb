"""The model gate: a model loads only if what it is, who made it and who signed it pass the site's policy."""
