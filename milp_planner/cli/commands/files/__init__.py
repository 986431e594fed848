"""Commands that turn a plan into other tools' files, and hold it against what they tell."""
