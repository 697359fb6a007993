"""What operators find: documents of orders and products, built, followed, rebuilt and asked."""
