"""From files to a `Shop`: formats, checks with one sentence a problem, downloads. Knows nothing of tasks or models."""
