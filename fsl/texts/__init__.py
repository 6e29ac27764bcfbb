"""Few-shot classification of texts."""
