"""One training loop, and the objectives of the method's stages."""
