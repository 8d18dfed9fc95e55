"""The store of samples: one SQLite file of ticks, sealed hours, roll-ups, series and corrections."""
