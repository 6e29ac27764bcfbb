"""How an inner loop is run: all tasks at once, one after another, or by `higher`. `fsl.adapt` is the door to them."""
