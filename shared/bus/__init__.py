"""How a question reaches the service that answers it: by direct call, or over Redis lists."""
