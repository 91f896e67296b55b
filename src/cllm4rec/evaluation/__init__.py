"""Metrics, intervals and the protocol; needs only a scorer, never a model."""
