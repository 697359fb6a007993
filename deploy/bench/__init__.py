"""`crossdock bench`: the hot paths of a running system beside a bare endpoint, in one run, by one load generator."""
