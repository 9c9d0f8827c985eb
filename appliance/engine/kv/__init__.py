"""What the model made of beginnings that many share, kept on disk over a restart: encrypted, never a person's words."""
