"""The job kind “sign_report”."""
