"""The job kind “test_connection”."""
