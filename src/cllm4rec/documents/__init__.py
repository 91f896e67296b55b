"""Interactions and texts as documents: prompts that are read, main texts that are predicted."""
