"""What people write of phones: explanations read and labelled, learned from a few examples, summed up on cards."""
