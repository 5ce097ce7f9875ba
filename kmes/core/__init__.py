"""Small types every layer may use: errors, clock, ids, actor, secret types. Imports nothing of ours."""
