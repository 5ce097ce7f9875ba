"""Creates jobs and runs them from claim to end. Imports no kind of job."""
