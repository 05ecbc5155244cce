"""Layer 2: online models as folds; one model a file, each with STATE, PARAMS, step and scan."""
