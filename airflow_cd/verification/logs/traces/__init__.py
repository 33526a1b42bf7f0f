"""Crashes of the common runtimes: which lines belong together, and what the crash is known by."""
