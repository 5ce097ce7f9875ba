"""The job kind “self_test”."""
