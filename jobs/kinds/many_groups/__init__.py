"""The job kind “many groups”."""
