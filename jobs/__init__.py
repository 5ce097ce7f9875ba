"""Jobs: the rows that carry all work on device and cloud, their runners, the Celery tasks and beat scans."""
