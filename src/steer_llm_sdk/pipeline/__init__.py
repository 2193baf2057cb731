"""What is dropped, changed or batched on the way from the provider to those who listen."""
