"""A study: one recipe changed along axes, every run of it done once, and a table for every comparison."""
