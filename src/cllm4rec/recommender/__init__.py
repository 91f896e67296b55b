"""A trained model that answers: saved and loaded, scored, explained, written out for everyone."""
