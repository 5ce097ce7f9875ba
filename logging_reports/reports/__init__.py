"""Reports: the registry upper apps fill, the page that shows a report, its chart, its CSV file.

Knows no key and no job: a report is data (``definitions.Report``) that the app it speaks of registers.
"""
