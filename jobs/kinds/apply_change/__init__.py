"""The kinds of jobs that are changes of users, roles and settings, which others approve and the requester applies."""
