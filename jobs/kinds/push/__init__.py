"""The push of keys into a vault, shared by synchronize and rotate."""
