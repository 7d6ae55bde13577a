"""Cells that come with longlag, a file each, in the form in which the literature has them."""
