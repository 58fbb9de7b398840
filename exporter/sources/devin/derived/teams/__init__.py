"""Groups and teams: who belongs to them, and their consumption."""
