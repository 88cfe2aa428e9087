"""The words these weights know: those of the GRID corpus (Cooke, Barker, Cunningham and Shao 2006)."""

COMMANDS = ("bin", "lay", "place", "set")
COLOURS = ("blue", "green", "red", "white")
PREPOSITIONS = ("at", "by", "in", "with")
LETTERS = tuple("abcdefghijklmnopqrstuvxyz")
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
ADVERBS = ("again", "now", "please", "soon")

SLOTS = (COMMANDS, COLOURS, PREPOSITIONS, LETTERS, DIGITS, ADVERBS)
WORDS = tuple(word for slot in SLOTS for word in slot)
BLANK = 0
TOKENS = ("", *WORDS)  # CTC classes: the blank, then the words
