"""Does a spread come back, how fast, and how sure can one be: estimators beside what random walks would show."""
