"""One-shot classification of characters: images, tasks, plans, study."""
