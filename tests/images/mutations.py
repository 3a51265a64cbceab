"""Images with a few bytes changed where formats keep their headers: numbers, names, magics, ends."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from tests.images.hostile import CANARY

EXTREMES = (
    0,
    1,
    2,
    3,
    4,
    0x7F,
    0x80,
    0xFF,
    0x1FF,
    0x200,
    0xFFFF,
    0x10000,
    0x7FFFFFFF,
    0x80000000,
    2**32 - 1,
    2**63,
    2**64 - 1,
)
MAGICS = (
    (0, b"QFI\xfb\0\0\0\3"), (0, b"QFI\xfb\0\0\0\2"), (0, b"QED\0"), (0, b"KDMV"), (0, b"COWD"), (0, b"conectix"),
    (0, b"vhdxfile"), (64, b"\x7f\x10\xda\xbe"), (0, b"LUKS\xba\xbe\0\1"), (0, b"WithoutFreeSpace"),
    (0, b"WithouFreSpacExt"), (0, b"Bochs Virtual HD Image\0"), (0, b"#!/bin/sh\n#V2.0 Format\nmodprobe cloop"),
    (32769, b"CD001"), (0, b"# Disk DescriptorFile\n"), (0, b"version=1\n"), (0, b" \n\n# x\n version = 1\n"),
    (0, b"fe-compressed"), (0, b"\x89VMD\0"), (-512, b"koly"), (-512, b"conectix"), (257, b"ustar\x0000"),
)  # fmt: skip
WORDS = (
    CANARY.encode(), b"json:{}", b"nbd://127.0.0.1/", b"file:/etc/passwd", b'parentFileNameHint="/etc/hostname"\n',
    b'RW 1 FLAT "/etc/hostname" 0\n', b'createType="monolithicFlat"\n', b"parentCID=12345678\n", b"DATA",
    b"\xe2\x79\x2a\xca",
)  # fmt: skip

Change = Callable[[bytearray, Random], None]


def place(image: bytearray, random: Random) -> int:
    """Mostly in the first sectors, sometimes where tables, regions and footers are."""
    spans = ((0, 128), (0, 128), (0, 512), (0, 4096), (512, 1600), (1 << 16, 70000), (192 << 10, 200 << 10))
    start, end = random.choice(spans)
    if random.random() < 0.15:
        start, end = max(0, len(image) - 1600), len(image)
    return random.randrange(min(start, max(len(image) - 1, 0)), max(min(end, len(image)), 1))


def number(image: bytearray, random: Random) -> None:
    size, order = random.choice((1, 2, 4, 8)), random.choice(("little", "big"))
    at = place(image, random) // size * size
    value = random.choice(EXTREMES) if random.random() < 0.7 else random.getrandbits(8 * size)
    image[at : at + size] = (value % (1 << 8 * size)).to_bytes(size, "little" if order == "little" else "big")


def nudge(image: bytearray, random: Random) -> None:
    at = place(image, random)
    image[at] = (image[at] + random.choice((-1, 1, 4, 8, 16, 64, 128))) % 256


def noise(image: bytearray, random: Random) -> None:
    at, size = place(image, random), random.randint(1, 32)
    image[at : at + size] = random.randbytes(size)


def magic(image: bytearray, random: Random) -> None:
    at, run = random.choice(MAGICS)
    start = at if at >= 0 else max(len(image) + at, 0)
    image[start : start + len(run)] = run


def word(image: bytearray, random: Random) -> None:
    at, run = place(image, random), random.choice(WORDS)
    image[at : at + len(run)] = run


def cut(image: bytearray, random: Random) -> None:
    del image[random.choice((random.randrange(len(image)), len(image) // 512 * 256, max(len(image) - 512, 1))) :]


def grown(image: bytearray, random: Random) -> None:
    image += random.choice((bytes(512), b"x", random.randbytes(512), bytes(image[:512])))


def repeated(image: bytearray, random: Random) -> None:
    """A run of one place at another: a second header, a footer from elsewhere."""
    at, to, size = place(image, random), place(image, random), random.choice((8, 64, 512, 1024))
    image[to : to + size] = image[at : at + size]


CHANGES: tuple[Change, ...] = (
    number, number, number, number, nudge, nudge, noise, magic, word, word, cut, grown, repeated,
)  # fmt: skip


def mutated(data: bytes, random: Random) -> bytes:
    image = bytearray(data)
    for _ in range(random.choice((1, 1, 1, 2, 2, 3, 5))):
        if image:
            random.choice(CHANGES)(image, random)
    return bytes(image)
