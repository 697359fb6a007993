"""What services say to each other and to the gateway. Nothing else is shared between them."""
