"""The words of the house as plain values: images, imports, decisions, verdicts and every refusal."""
