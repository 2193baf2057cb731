"""How one stream is run: attempts, limits, the exchange with the provider, and the pump."""
