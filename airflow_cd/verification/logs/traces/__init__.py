"""Crashes of the common run-times: which lines belong together, and what the crash is known by."""
