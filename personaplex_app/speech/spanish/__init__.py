"""Spanish: how figures are said, what letters sound like, and the voices that say it."""
