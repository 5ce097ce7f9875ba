"""Runs jobs: claim, run, end, and how new ones come to be. Imports no kind of job."""
