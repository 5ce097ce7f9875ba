"""Home page, health and metrics. Reads every layer below it; writes acknowledgements only."""
