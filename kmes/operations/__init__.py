"""Operating an installation: backup and restore, options, and the pages of a held schedule."""
