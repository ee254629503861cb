"""Crons: schedules that create runs, one for each firing, whoever is alive to handle it."""
