"""Self-certification: the whole cycle tried on a temporary key group, with a signed report."""
