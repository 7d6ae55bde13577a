"""Studies: a question a module, its cases, its table beside the paper's, its figure."""
