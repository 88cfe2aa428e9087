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


def grid_sentence(name: str) -> list[str]:
    """The words that a GRID clip's name stands for: ``bbaf2n`` is bin blue at f two now, the digit z is zero.

    Raises ValueError where the name is not of that form.
    """
    if len(name) != len(SLOTS):
        raise ValueError(f"{name!r} is not a GRID clip name: {len(SLOTS)} letters such as bbaf2n")
    words = []
    for letter, slot in zip(name, SLOTS, strict=True):
        if slot is DIGITS:
            found = DIGITS[0] if letter == "z" else DIGITS[int(letter)] if letter.isdigit() else None
        else:
            found = next((word for word in slot if word.startswith(letter)), None)
        if found is None:
            raise ValueError(
                f"{name!r} is not a GRID clip name: {letter!r} stands for none of {', '.join(slot)}"
            )
        words.append(found)
    return words
