"""What a person sees in a browser. So far: the page that a one-time link in a mail opens."""
