"""Reference mathematics in numpy, one network a file."""
