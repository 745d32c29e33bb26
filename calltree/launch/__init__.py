"""`make run`: everything on this machine, started in order and stopped without an orphan."""
