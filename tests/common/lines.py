"""The half that Python programs share: lines of a verb and words of `name=value`, and the facts that answer them."""

import sys


def answer(verbs, words=dict):
    """Answers lines until stdin ends. `verbs` has a method for each verb; what it yields are the facts.

    `words` makes what the method is given of the pairs of name and value.
    """
    for line in sys.stdin:
        verb, *rest = line.split()
        try:
            for fact in getattr(verbs, verb)(words(word.split("=", 1) for word in rest)) or ():
                print(fact)
            print("ok", flush=True)
        except Exception as error:  # Whatever a client raises is the answer to the line.
            sentence = " ".join(f"{type(error).__name__}: {error}".split())
            print("failed", sentence, flush=True)
