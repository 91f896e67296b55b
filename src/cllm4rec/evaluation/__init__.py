"""Metrics, intervals, the protocol and the tuned baselines; needs only a scorer, never a model."""
