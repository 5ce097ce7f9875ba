"""What a confirmation shows before a job starts: its plan, and what blocks it."""
