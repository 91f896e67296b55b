"""Where item vectors start: factors of interactions and texts, words, or noise."""
