"""Self-certification: the whole cycle tried on a throw-away key group, with a signed report."""
