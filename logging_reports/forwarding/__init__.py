"""Forwards log rows to syslog servers and HTTP event collectors: at least once, in order, without gaps.

The log itself is the spool: each destination only has a position in each log (``positions``). The report worker sends
(``delivery``), because it reaches neither the device nor a cloud. docs/forwarding.md says what receivers get.
"""
