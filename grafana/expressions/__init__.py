"""The PromQL that panels ask: of days, cycles, money, names."""
