"""What Ray Data calls ``ray.data.util``: see ``raceline.data.util.torch_utils``."""
