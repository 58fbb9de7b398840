"""Our poller beside a naive one, on an enterprise of any size, in simulated time."""
