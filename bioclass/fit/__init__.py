"""Train a network: the loop, the ways of sharing the work, the optimizers."""
