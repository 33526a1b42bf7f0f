"""The page of an approval: the evidence, and the answer."""
