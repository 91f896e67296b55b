"""Transformer layers written out for a processor: packed tokens, few passes over memory."""
