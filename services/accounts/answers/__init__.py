"""Messages in: one short function per message, one module per subject."""
