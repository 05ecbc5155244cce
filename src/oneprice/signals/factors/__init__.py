"""Common factors of many returns by principal components, and what is left: residuals that revert, as s-scores."""
