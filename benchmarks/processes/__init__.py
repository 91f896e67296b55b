"""Training on several processes, beside training on one."""
