"""The page of a verification report, and what people say on it."""
