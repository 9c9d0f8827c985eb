"""Documents into text with structure. Each is read in a process of its own that can reach nothing (``launch``)."""
