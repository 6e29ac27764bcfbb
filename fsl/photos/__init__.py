"""Phones told apart by their pictures."""
