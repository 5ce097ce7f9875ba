"""The product's settings with failpoints allowed; for the worker processes of the fault tests only."""

from kmes.settings import *  # noqa: F403 - it is the same installation
from kmes.settings import env

KMES_FAILPOINTS = env.str("KMES_FAILPOINTS", "")
