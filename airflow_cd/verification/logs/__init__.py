"""What logs say: from lines to events, and the quality of a canary."""
