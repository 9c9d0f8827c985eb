"""What the assistant knows of the house it works in: documents, their passages, and who may be shown which."""
