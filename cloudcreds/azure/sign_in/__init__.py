"""The ways to sign in to Azure: one token credential for each, and the files and addresses of the worker's host."""
