"""The networks, a file each: the reference mathematics that the kernel must agree with."""
