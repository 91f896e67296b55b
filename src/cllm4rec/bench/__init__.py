"""Speed benchmarks: every stage, batch scoring, the service."""
