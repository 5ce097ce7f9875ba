"""The job kind “cloud_purge”."""
