"""OAuth 2.0 as libraries know it: tokens (RFC 6749), metadata (8414), introspection (7662), revocation (7009)."""
