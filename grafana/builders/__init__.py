"""What every dashboard is built of: queries, panels, colours, overrides, the frame around them."""
