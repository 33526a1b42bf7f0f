"""What the name of a metric says: its words, its unit, and what kind of thing it measures."""
