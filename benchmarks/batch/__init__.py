"""How fast lists for everyone are, beside the bare backbone."""
