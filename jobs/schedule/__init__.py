"""What beat triggers: scans for work, the clock guard, reminders, checkpoints of the log."""
