"""Search in a shop: what the words of a query find, and what the user's few interactions do to the order."""
