"""A relay between HTTP clients and an HTTPS service that damages answers by rules, and a proxy that does the same.

It imports nothing of the product and nothing of the stand-in: standard library and ``cryptography`` only.
``server.Relay`` stands in the place of one service with several ports, ``proxy.Proxy`` in that of a company's proxy.
"""
