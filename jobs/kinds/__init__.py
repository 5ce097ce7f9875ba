"""One package per kind of job: its spec beside its runner."""
