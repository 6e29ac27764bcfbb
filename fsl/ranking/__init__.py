"""Rankings of a whole catalogue: questions, judges, refreshed shops, contests."""
