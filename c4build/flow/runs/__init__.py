"""How far a run is: what its processes leave, what the first of them makes of it, and how others read that."""
