"""Random functions on random tables: what the compiler computes against what Python computes.

- `tables` makes columns of the types and values where languages differ.
- `rows` makes functions of rows, `arrays` functions of NumPy batches, of templates that `grammar`
  fills.
- `lanes` runs a function both ways and tells where they differ.
- `shrink` makes a small program of one that differs.
- `corpus` holds the programs that differed once.
"""
