"""OpenAI's chat completions, and the servers that copy them."""
