"""The page of one environment: what runs there, rolling it back now, and its vetoes."""
