"""What metrics say: the performance of a canary."""
