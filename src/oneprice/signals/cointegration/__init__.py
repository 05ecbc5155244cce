"""Are series tied together: Engle-Granger (directly and over all pairs from moments), Johansen, Phillips-Ouliaris."""
