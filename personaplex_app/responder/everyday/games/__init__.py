"""Games that a rule engine plays: two guessing games, a quiz, a short adventure."""
