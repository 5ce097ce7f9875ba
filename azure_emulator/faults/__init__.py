"""Faults that a test asks for: which requests they apply to, and what they do to the answer."""
