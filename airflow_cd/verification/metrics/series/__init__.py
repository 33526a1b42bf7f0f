"""Series as sources and files write them, made fit to be judged: counters, gaps, shares, and data that say nothing."""
