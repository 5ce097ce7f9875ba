"""The job kind “cloud_delete”."""
