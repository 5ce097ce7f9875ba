"""What needs attention: the facts, how each is told, and what users acknowledged."""
