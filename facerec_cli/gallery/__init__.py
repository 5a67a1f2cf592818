"""Galleries: enrolled people in a folder, with their photos' facts and embeddings."""
