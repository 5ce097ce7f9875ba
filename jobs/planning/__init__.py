"""What the kinds of jobs share when one is asked for: blockers, eligibility, menu entries, checks of requests."""
