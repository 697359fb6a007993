"""`crossdock connect`: a store platform is connected to a running system, step by step."""
