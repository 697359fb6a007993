"""Organizations, shops, people, credentials; and the lists of jobs, audit and alerts of all services."""
