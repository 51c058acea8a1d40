"""Made-up names of artists, albums and songs. Any likeness to a real band would be an accident."""

import re

import numpy as np

ARTIST_FIRST = (
    "Marzipan Corduroy Thimble Velveteen Umbrella Teacup Gingham Lantern Pumice Turnip Parasol Biscuit "
    "Cobalt Driftwood Paprika Tangerine Mothball Quilted Wicker Barley Nutmeg Saffron Pewter Clockwork "
    "Seaweed Flannel Mustard Origami Porcelain Rhubarb Cinnamon Tinfoil Walnut Bramble Cardboard Juniper "
    "Linoleum Magnetic Oatmeal Pickled Sawdust Tuesday Vinegar Woollen Zigzag Almanac Buttonhole Custard "
    "Doorbell Eiderdown"
)
ARTIST_SECOND = (
    "Otters Teapots Astronomers Herons Accountants Beekeepers Badgers Librarians Pelicans Submarines "
    "Postmen Lighthouses Weathermen Hedgehogs Cartographers Bicycles Gardeners Walruses Telescopes "
    "Ferrymen Marmots Plumbers Puffins Zeppelins Dentists Tortoises Clockmakers Haddock Geologists "
    "Windmills Lobsters Botanists Trombonists Magpies Elevators Locksmiths Newts Orchards Philatelists "
    "Quails Radiators Salamanders Tailors Understudies Vicars Wombats Xylophones Yachtsmen Zebras Aunts"
)
ALBUM_FIRST = (
    "Letters,Sketches,Echoes,Signals,Seasons,Shadows,Tides,Nights,Postcards,Maps,Rumours,"
    "Errands,Lullabies,Reports,Etudes,Stations"
)
ALBUM_SECOND = (
    "from the Attic,of a Slow Winter,for Two Rooms,without Furniture,before Breakfast,"
    "in Grey and Green,under the Stairs,from Platform Nine,of the Lower Garden,by Candlelight,"
    "after the Rain,on Tracing Paper,at Low Water,beyond the Allotments,in Five Weathers,"
    "for an Empty Hall"
)
SONG_FIRST = (
    "First Second Open Falling Distant Bright Broken Final Little Deep Crooked Silver Borrowed Quiet "
    "Sudden Northern Paper Folded Patient Hollow Early Wandering Painted Frozen"
)
SONG_SECOND = (
    "Light Road Movement Dance Prayer Machine Water Theme Hour Return Harbour Staircase Letter Engine "
    "Orchard Window Procession Signal Garden Winter Corridor Lantern River Mirror"
)


def artist_names(count: int, random: np.random.Generator) -> list[str]:
    """`count` different names, such as 'The Thimble Otters'."""
    first, second = ARTIST_FIRST.split(), ARTIST_SECOND.split()
    if count > len(first) * len(second):
        raise ValueError(f"count: {count} names asked for, {len(first) * len(second)} can be made")
    pairs = random.permutation(len(first) * len(second))[:count]
    return [f"The {first[pair // len(second)]} {second[pair % len(second)]}" for pair in pairs]


def album_title(number: int, random: np.random.Generator) -> str:
    """Title of an artist's album `number`; `random` is the artist's, so that no two titles are the same."""
    first = random.permutation(ALBUM_FIRST.split(","))[number]
    return f"{first} {random.permutation(ALBUM_SECOND.split(','))[number]}"


def song_titles(count: int, random: np.random.Generator) -> list[str]:
    """`count` titles, such as 'Borrowed Light'; on a very long album they may repeat."""
    first, second = SONG_FIRST.split(), SONG_SECOND.split()
    return [f"{random.choice(first)} {random.choice(second)}" for _ in range(count)]


def slug(name: str) -> str:
    """A name as the original's paths spell it: lower case, every other sign an underscore."""
    return re.sub(r"[^a-z0-9]", "_", name.lower())
