"""Language model + linear model: the blend."""
