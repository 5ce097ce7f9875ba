"""What needs attention: the facts, their texts, and what users acknowledged."""
