"""Writes the two small tasks that ship with the package: `python -m c4build.t5.demo_tasks.make FOLDER`.

demo_mood: is a remark friendly or not ("not good" and "never dull" turn it round). demo_where: somebody's place is asked for, and
stands among what others do. A tiny model learns both in a hundred steps. To tell two people's places apart by their names takes it
thousands; that is not asked for.
"""

import json
import random
import sys
from pathlib import Path

GOOD = "good fine lovely warm clear bright fresh kind tidy quick pleasant useful".split()
BAD = "bad poor dull cold muddy dark stale rude messy slow noisy useless".split()
THINGS = "soup room film talk garden meal song train hotel coat shop book".split()
FRIENDLY = ["the {t} was {g}", "what a {g} {t}", "the {t} was not {b}", "never a {b} {t} here", "a {g} and {g2} {t}"]
UNFRIENDLY = ["the {t} was {b}", "what a {b} {t}", "the {t} was not {g}", "never a {g} {t} here", "a {b} and {b2} {t}"]
PEOPLE = "Anna Boris Clara David Emma Felix Greta Henry Irene Jonas".split()
DOES = "has the silver key|is half asleep|found a letter|sighed|is here|was late".split("|")
PLACES = "garden kitchen library market station school harbour museum".split()


def mood(rng):
    label = rng.randrange(2)
    (g, g2), (b, b2) = rng.sample(GOOD, 2), rng.sample(BAD, 2)
    form = rng.choice(FRIENDLY if label else UNFRIENDLY)
    return {"sentence": form.format(t=rng.choice(THINGS), g=g, g2=g2, b=b, b2=b2), "label": label}


def where(rng):
    person, *others = rng.sample(PEOPLE, rng.randint(2, 3))
    place = rng.choice(PLACES)
    said = [f"{person} is in the {place}.", *(f"{other} {rng.choice(DOES)}." for other in others)]
    rng.shuffle(said)
    return {"question": f"Where is {person}?", "context": " ".join(said), "answers": [place]}


def main(folder):
    rng = random.Random(0)
    for name, make, examples in (("demo_mood", mood, 3000), ("demo_where", where, 1000)):
        seen = set()
        for split, count in (("train", examples), ("validation", 120)):
            lines: list[str] = []
            while len(lines) < count:
                line = json.dumps(make(rng))
                if line not in seen:
                    seen.add(line)
                    lines.append(line)
            path = Path(folder) / name / f"{split}.jsonl"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent)
