"""The words of the sample, and the prose made of them: templates of English sentences by theme, and sentences in other languages.

`{name}` stands for one of the words of that name, the theme's own first, then the common ones. A theme is one of THEMES, which the
sample's pages are about, or of `domains`.
"""

import random

from c4build.sample.domains import DOMAINS, LISTINGS, USERS

COMMON = {
    "time": "spring|summer|autumn|winter|early morning|late evening|the first week|the second year|the weekend|the holidays".split(
        "|"
    ),
    "person": "my neighbour|an old friend|the teacher|our guide|a young doctor|the owner|her brother|his grandmother|the librarian|a retired engineer|the mayor|one of the volunteers|the new baker|a passing sailor".split(
        "|"
    ),
    "feeling": "delighted|surprised|tired|hopeful|curious|relieved|patient|proud|a little nervous|grateful".split("|"),
    "number": "two|three|four|five|six|seven|nine|eleven|twelve|fifteen|twenty|forty".split("|"),
    "place": "by the river|near the old station|behind the school|on the north side of town|at the edge of the forest|along the coast|in the hills|next to the market|under the railway bridge|across the valley".split(
        "|"
    ),
    "opinion": "It was worth the effort|Nobody regretted it afterwards|That turned out to be the right choice|We would do it again tomorrow|It took longer than anyone expected|The result speaks for itself|Few people know about this|There is still a lot to learn".split(
        "|"
    ),
}

THEMES = {
    "cooking": {
        "thing": "soup|bread|pumpkin pie|lentil stew|apple cake|roasted carrots|mushroom risotto|onion tart|barley salad|fish curry|plum jam|potato pancakes".split(
            "|"
        ),
        "part": "garlic|butter|thyme|lemon juice|black pepper|rye flour|olive oil|fresh yeast|brown sugar|cinnamon|sour cream|mustard".split(
            "|"
        ),
        "act": "simmers|rests|bakes|cools|thickens|rises|browns slowly|softens".split("|"),
        "say": [
            "The {thing} tastes best when the {part} is added at the very end.",
            "Let it stand for {number} minutes while the {thing} {act}.",
            "In {time} {person} makes {thing} with plenty of {part}.",
            "You need {number} spoons of {part} and a heavy pan for the {thing}.",
            "If the {thing} {act} too fast, turn down the heat and stir in some {part}.",
            "{person} learned to make {thing} from a cook who lived {place}.",
            "A pinch of {part} makes the difference between a dull {thing} and a good one.",
            "Serve the {thing} warm, with a little {part} on the side.",
            "We tried {number} recipes for {thing} before we settled on this one.",
            "Do not be tempted to leave out the {part}, because the {thing} depends on it.",
        ],
    },
    "gardening": {
        "thing": "roses|tomatoes|lavender|climbing beans|strawberries|young apple trees|tulips|rhubarb|courgettes|herbs|ferns|raspberry canes".split(
            "|"
        ),
        "part": "compost|straw|rainwater|bone meal|sandy soil|wood ash|leaf mould|a low fence|morning sun|a layer of gravel".split(
            "|"
        ),
        "act": "flower|need shade|grow quickly|suffer from frost|attract bees|ripen|spread".split("|"),
        "say": [
            "Plant the {thing} in {time}, as soon as the ground can be worked.",
            "Most {thing} {act} when they get enough {part}.",
            "{person} grows {thing} {place} and gives half of them away.",
            "Cover the bed with {part} so that the {thing} stay moist.",
            "Water the {thing} every {number} days, never in the heat of noon.",
            "Slugs love {thing}, but {part} keeps most of them off.",
            "After {number} weeks the {thing} {act} and can be thinned out.",
            "It is better to feed {thing} with {part} than to cut them back too hard.",
            "The {thing} that grow {place} have never been sprayed.",
            "Ask {person} for cuttings, since shop-bought {thing} seldom {act} in poor soil.",
        ],
    },
    "astronomy": {
        "thing": "comet|red giant|planet|small moon|galaxy|meteor shower|double star|nebula|distant quasar|asteroid".split(
            "|"
        ),
        "part": "telescope|spectrograph|pair of binoculars|radio dish|long exposure|star map|digital camera|space probe".split(
            "|"
        ),
        "act": "fades|brightens|rises before dawn|passes behind the sun|turns on its axis|drifts westward".split("|"),
        "say": [
            "The {thing} can be seen with a {part} during {time}.",
            "Every {number} years the {thing} {act} and astronomers point a {part} at it.",
            "Light from the {thing} needs {number} thousand years to reach us.",
            "With a {part} {person} followed the {thing} through the whole night.",
            "When the {thing} {act}, its colour changes from white to orange.",
            "The observatory {place} has a {part} that was built for this {thing}.",
            "Nobody knows yet why the {thing} {act} more often than the models predict.",
            "A {part} shows {number} faint companions around the {thing}.",
            "The new catalogue lists {number} hundred objects of the same kind as this {thing}.",
            "Clouds hid the {thing}, so the {part} stayed under its cover.",
        ],
    },
    "local news": {
        "thing": "town council|swimming pool|bus company|public library|fire brigade|football club|hospital|primary school|theatre|farmers' market".split(
            "|"
        ),
        "part": "budget|new roof|car park|petition|timetable|opening party|repair work|vote|study|grant".split("|"),
        "act": "was delayed|was approved|found wide support|caused a long debate|surprised everyone|will be published soon".split(
            "|"
        ),
        "say": [
            "The {thing} announced on Monday that the {part} {act}.",
            "According to {person}, the {part} of the {thing} {act} in {time}.",
            "About {number} hundred residents came to the meeting about the {part}.",
            "The {thing} {place} will stay closed for {number} weeks.",
            '"We are {feeling}," said {person} when the {part} {act}.',
            "A spokesman for the {thing} declined to comment on the {part}.",
            "The {part} costs {number} thousand pounds more than the {thing} had planned.",
            "Since {time} the {thing} has been looking for a place {place}.",
            "Police asked drivers to avoid the road {place} until the {part} is over.",
            "The {thing} thanked {person} for years of work on the {part}.",
        ],
    },
    "travel": {
        "thing": "village|harbour|castle|mountain hut|night train|ferry|island|monastery|canal|vineyard|old lighthouse|desert road".split(
            "|"
        ),
        "part": "map|ticket|warm coat|bicycle|boat|local bus|walking stick|rented car|phrase book|good pair of boots".split(
            "|"
        ),
        "act": "is crowded|lies in fog|opens at nine|looks its best|is almost empty|closes early".split("|"),
        "say": [
            "We reached the {thing} after {number} hours on a winding road.",
            "In {time} the {thing} {act}, which suits quiet travellers.",
            "Take a {part}, because the way to the {thing} is not signposted.",
            "{person} showed us the {thing} and told stories until midnight.",
            "There are {number} rooms in the inn {place}, all with a view of the {thing}.",
            "The {thing} {act} when the wind comes from the sea.",
            "Without a {part} you will not get from the {thing} to the beach.",
            "I felt {feeling} when I first saw the {thing} from the hill.",
            "From the {thing} it is {number} miles to the next shop.",
            "Breakfast at the {thing} is simple, and the coffee is strong.",
        ],
    },
    "history": {
        "thing": "bridge|guild|kingdom|printing press|trade route|cathedral|shipyard|treaty|university|salt mine|fortress".split(
            "|"
        ),
        "part": "charter|letter|tax|flood|siege|harvest|council|fire|coin|chronicle".split("|"),
        "act": "was rebuilt|lost its importance|grew rich|changed hands|was forgotten|drew scholars from afar".split(
            "|"
        ),
        "say": [
            "The {thing} {act} after the great {part} of that century.",
            "A {part} found {place} mentions the {thing} for the first time.",
            "For {number} generations the {thing} {act} and then {act}.",
            "Historians disagree about the {part} that ended the {thing}.",
            "In {time} merchants met at the {thing} to settle the {part}.",
            "The oldest {part} of the {thing} is kept in a museum {place}.",
            "It took {number} years to finish the {thing}, and the {part} paid for it.",
            "Contrary to legend, the {thing} was not destroyed by a {part}.",
            "{person} wrote a book of {number} chapters about the {thing}.",
            "When the {part} was over, the {thing} {act}.",
        ],
    },
    "technology": {
        "thing": "battery|laptop|search engine|wind turbine|database|sensor|network cable|keyboard|weather model|compiler|solar panel|robot arm".split(
            "|"
        ),
        "part": "update|manual|spare part|test|password|driver|backup|measurement|log file|firmware".split("|"),
        "act": "fails|runs faster|uses less power|overheats|starts by itself|reports an error".split("|"),
        "say": [
            "The {thing} {act} as soon as the {part} is installed.",
            "Read the {part} before you open the {thing}.",
            "After {number} hours of work the {thing} {act}, and the {part} says why.",
            "{person} repaired the {thing} with a {part} from another machine.",
            "A {thing} that {act} in {time} should be checked every month.",
            "We compared {number} models, and only one {thing} passed every {part}.",
            "Keep a {part} of everything, because any {thing} {act} sooner or later.",
            "The engineers {place} build a {thing} that needs no {part}.",
            "Is it true that a {thing} lasts for {number} years without a {part}?",
            "Users were {feeling} when the {thing} no longer needed a {part}.",
        ],
    },
    "reviews": {
        "thing": "novel|film|jazz record|tent|kettle|board game|raincoat|hotel|museum|audio book|camping stove|desk lamp".split(
            "|"
        ),
        "part": "ending|design|price|first chapter|cover|sound|staff|zipper|handle|second half".split("|"),
        "act": "disappoints|is excellent|could be better|stands out|grows on you|feels cheap".split("|"),
        "say": [
            "The {part} of this {thing} {act}, and I would buy it again.",
            "I bought the {thing} in {time} and have used it {number} times since.",
            "{person} recommended the {thing} to me because of its {part}.",
            "For the money, the {thing} is fine, although the {part} {act}.",
            "My only complaint about the {thing} concerns the {part}.",
            "After {number} days with the {thing} I was {feeling}.",
            "What a wonderful {thing}! The {part} alone is worth it.",
            "The {part} {act}, yet the {thing} as a whole left me {feeling}.",
            "Compared with the last {thing} from the same makers, the {part} {act}.",
            "Would I give this {thing} to {person}? Certainly, if only for the {part}.",
        ],
    },
    "health": {
        "thing": "back pain|sleep|a cold|seasonal allergy|stress|stiff knees|headache|weak eyesight|poor posture|a sprained ankle".split(
            "|"
        ),
        "part": "walking|hot tea|stretching|fresh air|regular meals|swimming|rest|a firm mattress|deep breathing|less coffee".split(
            "|"
        ),
        "act": "helps|works slowly|is often overrated|does no harm|is the first advice".split("|"),
        "say": [
            "Against {thing}, {part} {act}, as {person} will tell you.",
            "Doctors recommend {part} for {number} minutes a day to people with {thing}.",
            "In {time} more people complain of {thing} than in any other season.",
            "A study of {number} hundred adults found that {part} {act} with {thing}.",
            "If {thing} lasts longer than {number} days, see a doctor.",
            "{person} had {thing} for years, until {part} became a habit.",
            "There is no cure for {thing}, but {part} {act}.",
            "Many who suffer from {thing} say that {part} {act}.",
            "Try {part} before you reach for pills against {thing}.",
            "Children seldom have {thing}, and for them {part} {act}.",
        ],
    },
    "nature": {
        "thing": "fox|heron|hedgehog|salmon|oak tree|swallow|otter|beaver|wild bee|owl|red squirrel|moss".split("|"),
        "part": "burrow|nest|riverbank|meadow|hollow trunk|hedge|marsh|clearing|stony slope".split("|"),
        "act": "hunts at dusk|returns every year|hides from the wind|looks for food|rears its young|sleeps through the cold".split(
            "|"
        ),
        "say": [
            "In {time} the {thing} {act} close to the {part}.",
            "A {thing} needs a quiet {part} and clean water.",
            "{person} counted {number} of them in a single {part}.",
            "The {thing} {act} where the {part} meets the field.",
            "Since the {part} was restored, the {thing} has come back.",
            "You can tell a {thing} by its shadow on the {part}.",
            "Walkers {place} should keep dogs away from the {part} of the {thing}.",
            "It takes {number} weeks before the young {thing} {act}.",
            "Without the {part} the {thing} would have vanished from this valley.",
            "At night the {thing} {act}, and by day it rests in a {part}.",
        ],
    },
}

OTHER_LANGUAGES = {
    "de": [
        "Der Bäcker öffnet seinen Laden schon um sechs Uhr morgens.",
        "Im Herbst sammeln wir Pilze und trocknen sie auf dem Dachboden.",
        "Die Straßenbahn fährt heute wegen einer Baustelle nicht bis zum Bahnhof.",
        "Meine Großmutter hat uns jeden Sonntag Geschichten aus ihrer Jugend erzählt.",
        "Wer im Winter wandert, braucht warme Kleidung und eine gute Karte.",
        "Das kleine Museum am Fluss zeigt Werkzeuge aus der alten Mühle.",
    ],
    "fr": [
        "Le marché du village commence à huit heures et finit vers midi.",
        "Nous avons traversé la vallée à pied avant le coucher du soleil.",
        "Ma sœur prépare une tarte aux pommes pour la fête de l'école.",
        "Les bateaux quittent le port quand la marée est assez haute.",
        "Il faut arroser les jeunes arbres chaque soir pendant l'été.",
        "La bibliothèque prête aussi des disques et des jeux de société.",
    ],
    "es": [
        "El tren de la mañana llega siempre con diez minutos de retraso.",
        "Los niños juegan en la plaza hasta que se encienden las luces.",
        "Mi abuelo cultivaba tomates y pimientos detrás de la casa.",
        "Después de la lluvia el camino hacia la montaña es peligroso.",
        "La profesora nos enseñó una canción antigua de su pueblo.",
        "En otoño las hojas cubren todo el jardín de la universidad.",
    ],
    "it": [
        "La nonna prepara il pane ogni sabato nel forno di pietra.",
        "Il sentiero sale lentamente tra gli ulivi fino alla chiesa.",
        "D'estate i ragazzi nuotano nel lago fino a tarda sera.",
        "Il museo della città raccoglie fotografie di vecchi mestieri.",
        "Abbiamo preso il traghetto per visitare le isole più lontane.",
    ],
    "ru": [
        "Утром над рекой стоял густой туман, и паром не ходил.",
        "Моя сестра учится играть на скрипке уже пять лет.",
        "В нашей деревне осталась только одна старая мельница.",
        "Зимой дети катаются на коньках по замёрзшему пруду.",
        "Учитель рассказал нам о путешествиях известных моряков.",
    ],
    "ja": [
        "春になると川沿いの桜が一斉に咲きます。",
        "祖母は毎朝庭の花に水をやっています。",
        "駅前の小さな本屋は今年で五十年になります。",
        "雨の日は図書館で静かに本を読むのが好きです。",
        "友達と山に登って、きれいな景色を見ました。",
    ],
    "zh": [
        "春天的时候，河边的柳树都绿了。",
        "爷爷每天早上都去公园散步，然后回家喝茶。",
        "这座小城有一家很老的书店，里面很安静。",
        "下雨的时候，孩子们在学校里画画和唱歌。",
        "我们坐火车去海边，住了三个晚上。",
    ],
    "ar": [
        "يفتح السوق القديم أبوابه كل صباح قبل شروق الشمس.",
        "كان جدي يحكي لنا قصصا جميلة عن البحر والسفن.",
        "تزرع أمي الورود والنعناع في الحديقة خلف البيت.",
        "ذهبنا إلى المكتبة لنقرأ كتبا عن تاريخ المدينة.",
        "في الشتاء تمتلئ الجبال بالثلج ويأتي الزوار من بعيد.",
    ],
}


def filled(rng: random.Random, text: str, words: dict[str, list[str]]) -> str:
    """A template with a word for each of its names."""
    while "{" in text:
        name = text[text.index("{") + 1 : text.index("}")]
        text = text.replace("{" + name + "}", rng.choice(words[name]), 1)
    return text


def listings(rng: random.Random, count: int) -> list[str]:
    """Lines that stand around a page's text: posts, tags, goods."""
    words = {**COMMON, **THEMES[rng.choice(list(THEMES))], "user": USERS}
    return [filled(rng, rng.choice(LISTINGS), words) for _ in range(count)]


def sentence(rng: random.Random, theme: str) -> str:
    own = THEMES[theme] if theme in THEMES else DOMAINS[theme]
    words = {**COMMON, **{name: values for name, values in own.items() if name != "say"}}
    text = filled(rng, rng.choice(own["say"]), words)
    start = 1 if text.startswith('"') else 0
    return text[:start] + text[start].upper() + text[start + 1 :]


def paragraph(rng: random.Random, theme: str, sentences: int) -> str:
    said = [sentence(rng, theme) for _ in range(sentences)]
    if rng.random() < 0.3 and theme in THEMES:
        said.append(rng.choice(COMMON["opinion"]) + ".")
    return " ".join(said)


def prose(rng: random.Random, theme: str, paragraphs: int) -> list[str]:
    return [paragraph(rng, theme, rng.randint(2, 4)) for _ in range(paragraphs)]
