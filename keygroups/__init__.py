"""Key groups (one group = one Azure key), their keys, the versions in the cloud, and rotation arithmetic."""
