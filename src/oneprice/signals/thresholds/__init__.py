"""How far a spread must be before it is traded, and where it is closed: optimal bands net of cost."""
