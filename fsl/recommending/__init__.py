"""Recommending for one person, and for one new product: trained models as files, answers with reasons."""
