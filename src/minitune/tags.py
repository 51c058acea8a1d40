"""From what can be heard in a clip to its tags, with the habits of the people who tagged MagnaTagATune.

Each tag has causes; a cause that is present with a strength (0..1) brings the tag with its recall, from the
table `RATES`. Causes act independently, and tags are drawn independently of each other given the facts:

    P(tag | clip) = 1 - (1 - FALSE_POSITIVE) * product over causes of (1 - recall * strength)

So synonyms come at random, most things heard are not mentioned, what is missing is seldom remarked on, and
some tags are mistakes. The recalls are set so that tags are about as frequent as in MagnaTagATune.
"""

import numpy as np

from minitune.facts import Facts, random_for

# The columns of MagnaTagATune's annotations_final.csv.
# fmt: off
TAGS = (
    "acoustic", "acoustic guitar", "airy", "ambient", "arabic", "banjo", "baroque", "bass", "beat", "beats",
    "bells", "birds", "blues", "bongos", "calm", "cello", "celtic", "chant", "chanting", "chimes", "choir",
    "choral", "chorus", "clapping", "clarinet", "clasical", "classic", "classical", "classical guitar",
    "country", "dance", "dark", "deep", "different", "disco", "drone", "drum", "drums", "duet", "eastern",
    "echo", "eerie", "electric", "electric guitar", "electro", "electronic", "electronica", "english",
    "fast", "fast beat", "female", "female opera", "female singer", "female singing", "female vocal",
    "female vocals", "female voice", "fiddle", "flute", "flutes", "folk", "foreign", "funk", "funky",
    "girl", "guitar", "guitars", "happy", "hard", "hard rock", "harp", "harpsichord", "harpsicord", "heavy",
    "heavy metal", "hip hop", "horn", "horns", "house", "india", "indian", "industrial", "instrumental",
    "irish", "jazz", "jazzy", "jungle", "keyboard", "light", "lol", "loud", "low", "lute", "male",
    "male opera", "male singer", "male vocal", "male vocals", "male voice", "man", "man singing",
    "medieval", "mellow", "men", "metal", "middle eastern", "modern", "monks", "new age", "no beat",
    "no drums", "no flute", "no guitar", "no piano", "no singer", "no singing", "no strings", "no violin",
    "no vocal", "no vocals", "no voice", "no voices", "noise", "not classical", "not english", "not opera",
    "not rock", "oboe", "old", "opera", "operatic", "orchestra", "orchestral", "organ", "oriental",
    "percussion", "piano", "piano solo", "plucking", "pop", "punk", "quick", "quiet", "rap", "reggae",
    "repetitive", "rock", "sad", "sax", "scary", "silence", "singer", "singing", "sitar", "slow", "soft",
    "soft rock", "solo", "soprano", "space", "spacey", "spanish", "strange", "string", "strings", "synth",
    "synthesizer", "talking", "techno", "trance", "tribal", "trumpet", "upbeat", "viola", "violin",
    "violins", "vocal", "vocals", "voice", "voices", "water", "weird", "wind", "woman", "woman singing",
    "women", "woodwind", "world",
)
# fmt: on

FALSE_POSITIVE = 0.0012  # chance of a tag that nothing in the clip accounts for

# An instrument is noticed fully at SALIENT dB below the mix, and not at all at INAUDIBLE.
INAUDIBLE, SALIENT = -20.0, -6.0

# In a choir people seldom hear men and women: the strength of either is reduced by so much.
CHOIR_HIDES_SEX = 0.75

# A manner of playing: (facts' field, value at which it is not remarked on, value at which it is fully).
MANNERS = {
    "slow": ("onsets_per_second", 4.0, 1.5),
    "fast": ("onsets_per_second", 6.0, 10.0),
    "quick beat": ("tempo", 125.0, 170.0),
    "loud": ("loudness", -16.0, -10.0),
    "quiet": ("loudness", -19.0, -27.0),
}

# What may be remarked on as missing -> the names of which none may be audible.
MISSING = {
    "voice": ("voice", "choir", "female voice", "male voice"),
    "beat": ("drums", "beat", "tabla"),
    "piano": ("piano",),
    "guitar": ("guitar",),
    "strings": ("strings", "violin", "cello"),
    "flute": ("flute",),
}

FEMALE = {
    "female": 0.42, "woman": 0.30, "female vocal": 0.20, "female voice": 0.15, "female vocals": 0.12,
    "woman singing": 0.05, "female singer": 0.045, "women": 0.03, "girl": 0.025, "female singing": 0.015,
}  # fmt: skip
MALE = {
    "male": 0.36, "male vocal": 0.30, "man": 0.22, "male voice": 0.22, "male vocals": 0.14,
    "male singer": 0.06, "man singing": 0.055, "men": 0.02,
}  # fmt: skip
MISTAKEN_SEX = 0.05  # of the tags of one sex, the share that a voice of the other gets


def _voice(sex: dict[str, float], other: dict[str, float]) -> dict[str, float]:
    return {**sex, **{tag: round(recall * MISTAKEN_SEX, 4) for tag, recall in other.items()}}


# kind of cause -> cause -> tag -> recall. Tags other than the cause's own are what people mistake it for, or
# hear along with it.
# fmt: off
RATES = {
    "heard": {
        "guitar": {"guitar": .62, "guitars": .012, "plucking": .008, "strings": .05, "string": .015,
                   "harp": .01},
        "acoustic guitar": {"acoustic": .04, "acoustic guitar": .03, "classical guitar": .06,
                            "spanish": .05, "mellow": .01, "folk": .02, "soft": .03},
        "electric guitar": {"electric guitar": .05, "electric": .04},
        "distorted guitar": {"electric guitar": .05, "electric": .03, "rock": .15, "hard": .01,
                             "hard rock": .012, "heavy": .03, "loud": .08},
        "lute": {"lute": .22, "medieval": .10, "guitar": .10, "plucking": .03},
        "banjo": {"banjo": .40, "guitar": .20, "country": .15, "plucking": .02},
        "sitar": {"sitar": .80, "guitar": .08, "indian": .10, "eastern": .03, "string": .03},
        "koto": {"oriental": .15, "eastern": .08, "sitar": .10, "guitar": .10, "harp": .06},
        "eastern strings": {"eastern": .10, "middle eastern": .06, "arabic": .06, "string": .04,
                            "sitar": .06},
        "harp": {"harp": .60, "guitar": .06, "plucking": .01, "harpsichord": .02},
        "piano": {"piano": .62, "keyboard": .02, "harp": .01},
        "electric piano": {"keyboard": .05, "synth": .05},
        "harpsichord": {"harpsichord": .70, "harpsicord": .18, "guitar": .05, "baroque": .06,
                        "plucking": .01, "piano": .05},
        "organ": {"organ": .30, "keyboard": .02, "synth": .04, "piano": .02},
        "accordion": {"organ": .04, "folk": .05, "foreign": .04},
        "bells": {"bells": .22, "chimes": .10},
        "strings": {"strings": .48, "string": .06, "orchestra": .02, "orchestral": .004, "violin": .08,
                    "violins": .03},
        "violin": {"violin": .62, "violins": .14, "string": .03, "viola": .01},
        "viola": {"viola": .06, "violin": .18, "violins": .02, "cello": .06},
        "cello": {"cello": .46, "violin": .10, "string": .03},
        "double bass": {"bass": .08, "cello": .06},
        "fiddle": {"fiddle": .30, "irish": .03},
        "flute": {"flute": .56, "flutes": .06, "wind": .05, "woodwind": .02},
        "whistle": {"irish": .08, "celtic": .04},
        "bagpipe": {"irish": .12, "celtic": .10, "horns": .05},
        "harmonica": {"country": .05, "folk": .05, "blues": .08},
        "shehnai": {"oboe": .06, "wind": .06, "flute": .05, "horns": .03},
        "oboe": {"oboe": .30, "clarinet": .04, "flute": .12, "wind": .04, "woodwind": .03},
        "clarinet": {"clarinet": .30, "oboe": .05, "flute": .08, "wind": .03, "woodwind": .03},
        "trumpet": {"trumpet": .30, "horn": .06, "horns": .06},
        "horns": {"horns": .12, "horn": .12, "trumpet": .03, "orchestra": .03},
        "saxophone": {"sax": .35, "jazz": .12, "trumpet": .02, "horn": .02},
        "synth": {"synth": .28, "synthesizer": .012, "keyboard": .01, "electronic": .08, "electric": .01,
                  "strings": .03, "spacey": .01},
        "effects": {"noise": .08, "weird": .08, "strange": .02, "spacey": .02, "scary": .01},
        "noise": {"noise": .10, "wind": .02, "water": .02},
        "bass": {"bass": .055, "low": .008, "deep": .006},
        "drums": {"drums": .27, "drum": .05, "percussion": .02},
        "beat": {"beat": .16, "beats": .045, "upbeat": .02, "repetitive": .006},
        "drum machine": {"beat": .05, "beats": .03, "electronic": .04},
        "tabla": {"bongos": .04, "tribal": .06, "percussion": .03, "indian": .08},
        "drone": {"drone": .05, "low": .02, "chant": .01},
        "choir": {"choir": .32, "choral": .17, "chorus": .13, "voices": .08, "chant": .08, "men": .01,
                  "women": .015},
        "voice": {"vocal": .20, "vocals": .14, "singing": .15, "voice": .08, "singer": .018, "voices": .012,
                  "talking": .006},
        "female voice": _voice(FEMALE, MALE),
        "male voice": _voice(MALE, FEMALE),
    },
    "style": {
        "classical": {"classical": .5, "classic": .10, "clasical": .004, "orchestra": .02, "old": .006,
                      "not rock": .005},
        "baroque": {"baroque": .2, "classical": .1, "harpsichord": .02, "old": .005},
        "orchestral": {"orchestra": .1, "orchestral": .04, "classical": .08},
        "opera": {"opera": .82, "operatic": .05, "female opera": .03, "male opera": .02, "soprano": .02,
                  "foreign": .06, "choir": .03, "classical": .05},
        "choral": {"choir": .12, "choral": .14, "chorus": .06},
        "chant": {"chant": .28, "chanting": .18, "monks": .10, "choral": .10, "foreign": .05},
        "solo": {"solo": .22, "piano solo": .01},
        "medieval": {"medieval": .20, "old": .03, "lute": .05},
        "techno": {"techno": .78, "dance": .14, "beat": .10, "beats": .05, "electronica": .03,
                   "fast beat": .03, "house": .03, "industrial": .02, "fast": .06},
        "trance": {"trance": .34, "techno": .4, "dance": .08},
        "electronic": {"electronic": .42, "electro": .08, "electronica": .04, "electric": .04,
                       "modern": .02, "techno": .12, "not classical": .01},
        "electro": {"electro": .14, "electronic": .12, "electronica": .04, "electric": .03, "funky": .02},
        "dance": {"dance": .16, "disco": .02, "house": .03, "upbeat": .03},
        "ambient": {"ambient": .62, "slow": .10, "eerie": .02, "airy": .03, "calm": .03, "mellow": .02,
                    "soft": .06, "dark": .04, "new age": .06},
        "new age": {"new age": .4, "ambient": .28, "calm": .02, "soft": .05},
        "space": {"space": .05, "spacey": .12, "echo": .02, "weird": .03},
        "rock": {"rock": .70, "hard rock": .05, "hard": .015, "soft rock": .01, "punk": .02,
                 "not classical": .01, "upbeat": .02, "drums": .06, "pop": .05},
        "hard rock": {"hard rock": .10, "hard": .04, "heavy": .06, "rock": .3, "loud": .06},
        "metal": {"metal": .55, "heavy metal": .12, "heavy": .15, "hard rock": .05, "hard": .03,
                  "loud": .15, "fast": .08, "rock": .35, "scary": .01},
        "pop": {"pop": .62, "modern": .03, "happy": .01, "rock": .10, "soft rock": .02},
        "country": {"country": .58, "folk": .06, "fiddle": .02, "pop": .04},
        "folk": {"folk": .28, "irish": .04, "acoustic": .03, "country": .05},
        "celtic": {"celtic": .16, "irish": .26, "folk": .08},
        "jazz": {"jazz": .55, "jazzy": .30, "blues": .05, "funky": .02},
        "funk": {"funk": .20, "funky": .30},
        "indian": {"indian": .7, "india": .05, "eastern": .13, "oriental": .05, "foreign": .08,
                   "world": .02, "middle eastern": .04, "tribal": .02},
        "eastern": {"eastern": .22, "oriental": .10, "middle eastern": .12, "arabic": .10, "foreign": .07,
                    "world": .03, "indian": .06},
        "foreign": {"foreign": .18, "not english": .08},
        "weird": {"weird": .48, "strange": .12, "different": .08, "eerie": .05, "scary": .03, "noise": .06,
                  "modern": .03},
        "modern": {"modern": .22, "different": .01},
    },
    "missing": {
        "voice": {"no vocals": .060, "no vocal": .050, "no voice": .030, "instrumental": .016,
                  "no singing": .006, "no singer": .004, "no voices": .003},
        "beat": {"no drums": .014, "no beat": .010},
        "piano": {"no piano": .020},
        "guitar": {"no guitar": .010},
        "strings": {"no violin": .004, "no strings": .003},
        "flute": {"no flute": .006},
    },
    "manner": {
        "slow": {"slow": .46, "calm": .01, "mellow": .006, "sad": .006, "soft": .03, "low": .006,
                 "deep": .004, "quiet": .04},
        "fast": {"fast": .42, "quick": .008, "fast beat": .01, "upbeat": .01},
        "quick beat": {"fast": .12, "fast beat": .006},
        "loud": {"loud": .24, "heavy": .02},
        "quiet": {"quiet": .24, "soft": .17, "silence": .012, "light": .01, "low": .01, "calm": .01},
    },
}
# fmt: on


def salience(level: float) -> float:
    """How much is noticed, 0..1, of what plays at `level` dB relative to the mix."""
    return float(np.clip((level - INAUDIBLE) / (SALIENT - INAUDIBLE), 0, 1))


def strengths(facts: Facts) -> dict[str, dict[str, float]]:
    """Strength 0..1 of each cause in the clip: kind -> cause -> strength, with the keys of `RATES`."""
    heard = {name: salience(level) for name, level in facts.levels.items()}
    for sex in {"female voice", "male voice"} & set(heard):
        heard[sex] *= 1 - CHOIR_HIDES_SEX * heard.get("choir", 0.0)
    missing = {cause: float(all(heard.get(name, 0.0) == 0 for name in names)) for cause, names in MISSING.items()}
    manner = {
        cause: float(np.clip((getattr(facts, field) - start) / (end - start), 0, 1))
        for cause, (field, start, end) in MANNERS.items()
    }
    return {"heard": heard, "style": facts.style, "missing": missing, "manner": manner}


def tag_probabilities(facts: Facts) -> np.ndarray:
    """P(tag | clip), float64 [188] in the order of `TAGS`."""
    absent = dict.fromkeys(TAGS, 1 - FALSE_POSITIVE)
    for kind, causes in strengths(facts).items():
        for cause, strength in causes.items():
            for tag, recall in RATES[kind].get(cause, {}).items():
                absent[tag] *= 1 - recall * strength
    return 1 - np.array([absent[tag] for tag in TAGS])


def draw_tags(probabilities: np.ndarray, seed: int, clip_id: int) -> np.ndarray:
    """One independent draw a tag: bool [188]. It depends on the arguments alone."""
    return random_for(seed, "tags", clip_id).random(len(TAGS)) < probabilities
