"""What the synthetic scenes consist of, with the true ids of those things in ADE20K and COCO-Stuff."""

from typing import NamedTuple


class Class(NamedTuple):
    """A class of the synthetic scenes. Its own id is its place in `CLASSES`."""

    name: str
    ade20k: int  # 1..150, SceneParsing (objectInfo150)
    coco_stuff: int  # 0..181, as in stuffthingmaps: COCO-Stuff category id - 1
    thing: bool  # things have a place in the caption


CLASSES = (
    # name            ADE20K  COCO              official names
    Class("sky", 3, 156, False),  #            sky; sky-other
    Class("clouds", 3, 105, False),  #         sky (ADE20K has no class for clouds); clouds
    Class("mountain", 17, 134, False),  #      mountain, mount; mountain
    Class("hill", 69, 126, False),  #          hill; hill
    Class("grass", 10, 123, False),  #         grass; grass
    Class("sand", 47, 153, False),  #          sand; sand
    Class("sea", 27, 154, False),  #           sea; sea
    Class("water", 22, 177, False),  #         water; water-other
    Class("river", 61, 147, False),  #         river; river
    Class("road", 7, 148, False),  #           road, route; road
    Class("flower", 67, 118, False),  #        flower; flower
    Class("tree", 5, 168, True),  #            tree; tree
    Class("house", 26, 127, True),  #          house; house
    Class("skyscraper", 49, 157, True),  #     skyscraper; skyscraper
    Class("rock", 35, 149, True),  #           rock, stone; rock
    Class("fence", 33, 112, True),  #          fence, fencing; fence
    Class("boat", 77, 8, True),  #             boat; boat
    Class("car", 21, 2, True),  #              car, auto; car
)

(SKY, CLOUDS, MOUNTAIN, HILL, GRASS, SAND, SEA, WATER, RIVER, ROAD, FLOWER) = range(11)
(TREE, HOUSE, SKYSCRAPER, ROCK, FENCE, BOAT, CAR) = range(11, 18)
