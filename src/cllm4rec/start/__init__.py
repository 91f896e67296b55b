"""Initial item vectors: factors of interactions and texts, word embeddings, or noise."""
