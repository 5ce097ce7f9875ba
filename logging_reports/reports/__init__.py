"""Reports: the registry, and the page, chart and CSV file of a report.

A report is data (``definitions.Report``) that each app registers for its own tables.
"""
