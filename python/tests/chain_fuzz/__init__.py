"""Random chains of methods of a dataset, and what plain Python makes of the same rows."""
