"""Interactions and texts as documents: a prompt, which is read, and a main text to predict."""
