"""Numbers and words as token ids, and token ids as batches."""
