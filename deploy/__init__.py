"""Putting the parts together and running them: command line, topologies, embedded servers, demo, bench."""
