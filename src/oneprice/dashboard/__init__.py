"""Pages drawn from a journal and its manifest, and the architecture drawn from the code."""
