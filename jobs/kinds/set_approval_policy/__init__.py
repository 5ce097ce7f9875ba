"""The job kind “set_approval_policy”."""
