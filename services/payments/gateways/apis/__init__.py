"""The HTTP of the providers' own APIs: what a payment is there, which there are, and sending money back."""
