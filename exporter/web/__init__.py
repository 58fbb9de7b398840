"""The HTTP server: endpoints, connections and limits."""
