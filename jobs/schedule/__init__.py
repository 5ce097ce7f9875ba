"""What beat sets off: scans for work, the clock guard, reminders, checkpoints of the log."""
