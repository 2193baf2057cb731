"""Amazon Bedrock: its Converse API, and Anthropic's messages as it serves them."""
