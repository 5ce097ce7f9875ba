"""Tools of those who develop the console: checks, bench, demo, trial data.

Nothing of the product imports them. They start whole installations through ``kmes.supervision``.
"""
