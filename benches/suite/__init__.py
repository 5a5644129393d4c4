"""The benchmark suite: what a cell is, how it is run and measured, and how results are shown."""
