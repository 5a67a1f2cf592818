"""Stored embeddings: each face with its vector, photo, box and status, in one file a format."""
