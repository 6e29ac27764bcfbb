"""The launch of a new item, reaction by reaction: protocol, histories, worth, study."""
