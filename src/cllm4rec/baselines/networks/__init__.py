"""The networks of the neural baselines: tensors in, tensors out; loaded where one is trained."""
