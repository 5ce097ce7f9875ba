"""The job kind “set_rotation_policy”."""
