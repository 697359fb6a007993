"""The doors: REST, GraphQL, OAuth. They translate and ask; no rule of the business lives here."""
