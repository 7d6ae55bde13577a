"""The tasks: what a network sees, and what it must answer; a file each."""
