"""Cloud credentials and their vaults. ``provider`` is what others know of a cloud; ``azure`` implements it."""
