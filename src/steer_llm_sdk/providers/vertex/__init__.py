"""Google's Vertex AI: Gemini and Claude as Google Cloud serves them. The formats are their own."""
