"""What an agent without a speech model of its own says: rules over its role prompt, or a language model."""
