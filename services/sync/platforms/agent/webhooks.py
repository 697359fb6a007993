"""An agent sends no webhooks: it fetches work, and what changed is found when a feed asks."""
