"""What any cloud provider offers, in neutral terms: all that jobs and key groups know of a cloud.

Imports no provider and no SDK, and knows no rows.
"""
