"""Closed-form models on numpy, scipy and scikit-learn; no files, no ids, no torch."""
