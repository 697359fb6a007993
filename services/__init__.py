"""Seven services. None imports another; `deploy/topology.py` knows them all."""
