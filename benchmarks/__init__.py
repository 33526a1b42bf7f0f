"""Benchmarks: what this project's verification reaches, its peers in the same run. See README.md for the commands."""
