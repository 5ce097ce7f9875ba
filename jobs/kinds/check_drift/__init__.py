"""The job kind “check_drift”."""
