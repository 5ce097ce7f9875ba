"""Notices: what in the log somebody should hear of, in the console, by mail and by webhook.

A notice is made from a log row, in that row's transaction (``raising``), so none is lost; what goes out is
a row too (``deliveries``), and Redis carries hints only. Runs in every process that logs, but only the
report worker sends. Knows no key and no job: upper apps say where a notice leads (``landing``).
"""
