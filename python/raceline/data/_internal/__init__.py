"""Names that programs for Ray Data import from ``ray.data._internal``, as its guides do."""
