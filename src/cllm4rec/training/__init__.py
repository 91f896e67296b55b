"""One training loop: optimiser steps, checkpoints, averages."""
