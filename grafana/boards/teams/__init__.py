"""Teams: who pays, and for what."""
