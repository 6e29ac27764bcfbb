"""Will this user take this thing? Sampled pairs, probabilities, and who foretells them best."""
