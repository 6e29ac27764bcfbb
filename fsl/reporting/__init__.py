"""From notebooks to pages: papermill runs, safe HTML, the index. Knows notebooks and sources, no model."""
