"""Google's Interactions API: Gemini, with a history that the server may keep."""
