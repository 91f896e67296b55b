"""Files → checked, numbered, split interactions and texts; external ids end here."""
