"""Messages in, by subject: one short function per message."""
