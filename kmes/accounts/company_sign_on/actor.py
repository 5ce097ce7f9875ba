"""In whose name log rows stand of what a sign-in at the provider changes."""

from kmes.core.actor import Actor, Trigger

PROVIDER = Actor("company sign-on", Trigger.SYSTEM)
