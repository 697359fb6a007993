"""The tables of accounts and the rules that keep them true: organizations, credentials, people, lists."""
