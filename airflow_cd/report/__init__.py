"""The report of a verification or a backtest: what it says, in which order, as a page."""
