"""How fast a run's service answers, and what it does when asked for too much."""
