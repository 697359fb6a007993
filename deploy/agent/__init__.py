"""`crossdock agent`: beside a merchant's system behind a firewall, it fetches what Crossdock asks and brings answers.

The protocol is in `services/sync/platforms/agent/PROTOCOL.md`; whoever speaks it needs nothing of this.
"""
