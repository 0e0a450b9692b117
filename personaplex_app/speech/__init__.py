"""Voice activity detection, speech recognition and synthesis on a CPU; the weights come inside packages."""
