"""Set-up and supervision: how the console's processes are made ready, started and stopped.

Stands beside the product: nothing of ours imports it, and it speaks to the product only through
its commands and its web pages; ``prepare`` and ``bench`` alone load Django.
"""
