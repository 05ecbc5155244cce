"""Layer 4: intents, orders, packages, schedules, and the simulated exchange."""
