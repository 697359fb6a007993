"""Pages for people who write programs: `/docs`, and what `/graphql` shows to a browser."""
