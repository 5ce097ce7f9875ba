"""The job kind “cloud_recover”."""
