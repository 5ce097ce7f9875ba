"""The job kind “make_certificate”."""
