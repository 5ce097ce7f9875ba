"""Sends odd requests to all pages, and says what they must never do: fail, show a traceback, change what a role may not.

``python -m kmes.devtools.fuzz --requests 10000`` runs it; a small part of it runs with the tests. Needs no worker, no
Redis and no network: requests go through the whole stack of middleware, but through no socket.
"""
