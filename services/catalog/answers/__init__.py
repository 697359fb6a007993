"""What catalog is asked, by subject: one short function per message."""
