"""What the model said: fragments become events, and events become the response."""
