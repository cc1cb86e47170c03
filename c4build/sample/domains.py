"""The words of the domains that the demo's corpora differ by: news, essays that people share, an encyclopedia, novels.

Templates as in `prose`, whose common words they have too. Each domain has nouns, verbs and turns of phrase of its own, so that a
model of one corpus can be told from a model of another by its loss on held-out text.
"""

# Lines around the text of a page, which no rule set for clean text keeps: they have no end mark.
LISTINGS = [
    "Posted by {user} on {number} April 2019 | {number} comments | Share | Print",
    "Tags: {thing}, {part}, {thing}",
    "{thing} (set of {number}) $19.99 Add to cart",
    "Related: {thing} | {thing} | {thing}",
    "Rated {number} out of 5 by {user}",
    "{user} Member since 2016 Posts: 412 Re: {thing}",
    "SKU 00{number} In stock Ships in {number} days",
    "<< Previous 1 2 3 4 5 Next >>",
]
USERS = "admin|guest_77|mike82|webmaster|jenny_k|moderator|anonymous|tom.b".split("|")

PEOPLE = "Anna|Boris|Clara|David|Emma|Felix|Greta|Henry|Irene|Jonas".split("|")
ROOMS = "garden|kitchen|library|market|station|school|harbour|museum".split("|")

DOMAINS = {
    "news": {
        "body": "city council|regional court|transport ministry|port authority|teachers' union|water company|election board|fire department".split(
            "|"
        ),
        "official": "spokeswoman Ellen Marsh|mayor Robert Quinn|prosecutor Dale Hutchins|minister Paula Reyes|union leader Omar Said|police chief Nancy Boyd|treasurer Ivan Petrov".split(
            "|"
        ),
        "day": "Monday|Tuesday|Wednesday|Thursday|Friday|Saturday".split("|"),
        "plan": "annual budget|tram extension|housing bill|pension reform|ferry contract|airport tax|flood defence|school merger".split(
            "|"
        ),
        "money": "3.2 million dollars|48 million euros|750,000 pounds|1.1 billion dollars|20 percent".split("|"),
        "count": "7 to 3|9 to 2|unanimously|by a narrow majority|11 to 8".split("|"),
        "sign": ["positive", "negative"],
        "event": "strike|outage|recall|collision|protest|by-election|warehouse fire|evacuation".split("|"),
        "say": [
            "The {body} voted {count} on {day} to approve the {plan}, {official} said.",
            "Shares in the {body} fell by {money} after the {event} was announced on {day}.",
            "{official} declined to comment on the {plan} when reached by telephone late {day}.",
            "Investigators said on {day} that the {event} caused damage worth {money}.",
            'The {plan} would cost taxpayers {money}, according to figures released by the {body}.',
            "{official} told reporters that the {event} had been under investigation since {day}.",
            "A hearing on the {plan} before the {body} is scheduled for {day}, officials confirmed.",
            "Opposition lawmakers called the {plan} reckless and demanded that {official} resign.",
            "No injuries were reported in the {event}, which delayed commuters until {day} evening.",
            "The {body} has pledged {money} in emergency funding following the {event}.",
            "Analysts had expected the {body} to postpone the {plan} until after the {event}.",
            "{official} and the {body} reached a settlement of {money} on {day}.",
            "The tests ordered by the {body} were {sign}, according to results published on {day}.",
        ],
    },
    "essays": {
        "tool": "parser|web server|shell script|spreadsheet|game engine|text editor|chess bot|home router|mailing list".split(
            "|"
        ),
        "code": "Python|Rust|Haskell|plain C|JavaScript|assembly|Lisp|Go".split("|"),
        "idea": "caching|recursion|version control|unit testing|open source|functional programming|remote work|static typing".split(
            "|"
        ),
        "result": "ran forty times faster|ate all my memory|simply worked|broke in production|compiled on the first try|got me hired".split(
            "|"
        ),
        "blog": "subreddit|comment thread|newsletter|podcast|conference talk|pull request|blog post".split("|"),
        "feel": "honestly|to my embarrassment|for what it's worth|in hindsight|against all advice|frankly".split("|"),
        "say": [
            "I spent a weekend rewriting my {tool} in {code} and, {feel}, it {result}.",
            "If you think {idea} is overrated, you've probably never debugged a {tool} at 3 a.m.",
            "Here's the thing about {idea}: everybody recommends it, but nobody's {tool} uses it.",
            "Someone in the {blog} asked why I don't just use {code}, so here's my answer.",
            "My first {tool} was a mess of global variables, yet it {result}.",
            "You don't need {code} to write a decent {tool}; you need {idea} and patience.",
            "Edit: thanks to the {blog}, I've fixed the benchmark, and the {tool} still {result}.",
            "TL;DR: {idea} won't save your startup, but a boring {tool} might.",
            "I've been doing {idea} for ten years, and {feel}, I still get it wrong.",
            "Let's be clear, a {tool} that's written in {code} isn't automatically better.",
            "What nobody tells you about {idea} is how much of it {result} by accident.",
            "The question isn't the {tool}, it's the context: nobody reads a sentence about {idea}.",
            "I posted the {tool} to a {blog}, went to bed, and woke up to four hundred replies.",
        ],
    },
    "encyclopedia": {
        "taxon": "beetle|orchid|sedge|mollusc|lichen|moth|conifer|cichlid|fern ally|salamander".split("|"),
        "genus": "Amblyra|Corvicula|Dendrosia|Hypnorus|Lathyrella|Meristis|Paronyx|Sylvantha".split("|"),
        "region": "the Carpathian Basin|northern Anatolia|the Iberian Peninsula|lower Saxony|the Apennines|the Dinaric Alps|southern Scandinavia".split(
            "|"
        ),
        "era": "the Late Triassic|the Middle Bronze Age|the Carolingian period|the sixteenth century|the early Holocene|the Ottoman period".split(
            "|"
        ),
        "measure": "12 millimetres|34 square kilometres|1,420 metres above sea level|0.8 grams per litre|210 specimens|56 inhabitants per square kilometre".split(
            "|"
        ),
        "rank": "municipality|subfamily|diocese|administrative district|genus|catchment area|dialect group".split("|"),
        "scholar": "Linnaeus|Humboldt|von Haller|Cuvier|Lamarck|Gessner".split("|"),
        "say": [
            "{genus} is a genus of {taxon} endemic to {region}, first described by {scholar}.",
            "The {rank} comprises {number} subdivisions and extends over {measure}.",
            "Adults reach a length of {measure} and are distributed throughout {region}.",
            "During {era}, the {rank} was incorporated into the duchy and subsequently partitioned.",
            "Its type locality, situated in {region}, lies at {measure}.",
            "The species of {genus} are distinguished from related {taxon} taxa by their morphology.",
            "According to {scholar}, the fossil record of {genus} dates to {era}.",
            "The {rank} is bordered to the south by {region} and has a density of {measure}.",
            "Archaeological excavations in {region} have yielded artefacts dating from {era}.",
            "The classification proposed by {scholar} was revised after the type of {genus} was re-examined.",
            "Precipitation in {region} averages {measure} annually, with a maximum in autumn.",
            "The etymology of {genus} is uncertain, although {scholar} derived it from Greek.",
        ],
    },
    "novels": {
        "hero": PEOPLE,
        "room": ROOMS,
        "object": "lantern|locket|candle|pocket watch|sealed letter|velvet glove|silver key|faded portrait".split("|"),
        "whisper": "whispered|murmured|cried|sighed|replied softly|said at last|muttered".split("|"),
        "mood": "trembling|pale as the moon|without a word|with tears in her eyes|as in a dream|half asleep".split("|"),
        "line": "I shall never return|you must not open it|somebody is listening|he has been gone for years|do not leave me|it was I who hid it".split(
            "|"
        ),
        "say": [
            '"{line}," {whisper} {hero}, and the {object} slipped from her fingers.',
            "{hero} crept down the stairs, {mood}, holding the {object} against her heart.",
            "{hero} is in the {room}, thought {hero}, and the {object} is gone.",
            "{hero} was in the {room} that night, {mood}, when the {object} began to glow.",
            'Where is {hero}? "{line}," {whisper} {hero} behind the door of the {room}.',
            "The {object} lay where {hero} had dropped it, and the {room} was dark.",
            "She looked at {hero}, {mood}, and {whisper} that {line}.",
            "All that winter {hero} dreamed of the {room} and of the {object}.",
            "He kissed the {object}, turned away from {hero}, and rode into the storm.",
            "Never had {hero} seen such a {object}; she stood in the {room}, {mood}.",
            'But {hero} only laughed. "{line}," she {whisper}, and shut the {room} door.',
            "Long after midnight {hero} found the {object} in the {room}.",
        ],
    },
}  # fmt: skip
