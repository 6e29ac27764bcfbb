"""`fsl speed`: how fast a meta-step is, beside the peers, measured in one interleaved run."""
