"""How long credentials and the keys behind them live."""

from datetime import timedelta

# A new key is made this often.
KEY_LIFETIME = timedelta(days=30)
# It is published this long before it signs, and stays published this long after it was followed: longer than anybody
# keeps the list of keys (gateway/oauth/metadata.py) and than a token lives.
KEY_OVERLAP = timedelta(hours=1)

# Wrong secrets for one client from one address, and how long they are remembered.
MOST_WRONG_SECRETS = 10
WRONG_SECRETS_WINDOW = timedelta(minutes=5)
