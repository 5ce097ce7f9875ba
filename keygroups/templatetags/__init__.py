"""Template tags of the log pages."""
