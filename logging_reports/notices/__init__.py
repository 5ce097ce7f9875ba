"""Notices: tell users of important log rows, in the console, by mail and by webhook.

A notice is created in the transaction of its log row (``creation``), so none is lost. Each delivery is a
row as well (``deliveries``); Redis carries only hints. Every process that logs creates notices, only the
report worker sends them. Higher apps register where a notice links to (``notice_links``).
"""
