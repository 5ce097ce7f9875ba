"""Running an installation: backup and restore, options, the schedule's hold."""
