"""The page of a run: stages, verdicts, clocks, changes and manual actions."""
