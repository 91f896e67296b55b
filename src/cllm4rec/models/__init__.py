"""Backbone, token tables, heads and losses: tensors in, tensors out."""
