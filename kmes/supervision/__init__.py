"""Set-up and supervision: how the console's processes are made ready, started and stopped.

Stands beside the product: no part of the product imports it, and it reaches the product only through
its commands and its web pages; ``prepare`` alone loads Django.
"""
