"""What every service and the gateway share: messages, the bus, the unit of work, and the trade's small words."""
