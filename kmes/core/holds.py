"""How a view asks the web server to hold its request until something changes. No thread waits meanwhile (``kmes.web_holds``)."""

from __future__ import annotations

from typing import Protocol

# The name under which a request's environment holds it; other servers have none.
ENVIRONMENT_KEY = "kmes.hold"


class Source(Protocol):
    """What is looked at while requests are held. Equal sources are asked once for all of them."""

    def read(self) -> str:
        """Return a word that changes with what it looks at. Called often, from a thread of the server."""


class Hold(Protocol):
    """What a request can ask for."""

    @property
    def is_over(self) -> bool:
        """Whether the request has been held for as long as it may be."""

    def ask(self, source: Source, word: str, *, owner: str) -> bool:
        """Have the request handled again once ``source`` has another word than this one, or its time is over.

        The response that the view returns after that is thrown away. Returns False when it can't be held: then it is sent.
        """
