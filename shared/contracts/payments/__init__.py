"""Payment gateways, callbacks, payments, refunds."""
