"""Which files are photos by their names: the one table of suffixes, for every command."""

from __future__ import annotations

from collections.abc import Mapping

from facerec_cli.sniff import HEAD, RAW, photo_format
from facerec_cli.wording import counted

# fmt: off
_READ = (
    ".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".heic", ".heif", ".avif", ".jfif",
    ".jpe", ".jfi", ".jif", ".mpo", ".jps", ".hif", ".heics", ".heifs", ".avifs", ".apng", ".dib", ".pgm",
    ".ppm", ".pbm", ".pnm", ".pam", ".pfm", ".jp2", ".j2k", ".j2c", ".jpc", ".jpf", ".jpx", ".hdr", ".ras",
    ".sr",
)
_RAW = (
    ".dng", ".cr2", ".cr3", ".crw", ".nef", ".nrw", ".arw", ".sr2", ".srf", ".orf", ".rw2", ".raf", ".pef",
    ".srw", ".x3f", ".3fr", ".fff", ".iiq", ".kdc", ".dcr", ".erf", ".mef", ".mos", ".mrw", ".rwl", ".gpr",
)
_VIDEO = (
    ".mp4", ".mov", ".m4v", ".avi", ".mkv", ".webm", ".wmv", ".flv", ".mpg", ".mpeg", ".3gp", ".mts", ".m2ts",
)
# fmt: on

IMAGE_SUFFIXES = dict.fromkeys(_READ)
"""What a folder's files must end in (in any case) to be taken for photos; the usual ones first."""

_CONVERT = "convert it to JPEG or PNG"

UNREAD_SUFFIXES: dict[str, tuple[str, str]] = {
    **dict.fromkeys(_RAW, RAW),
    **dict.fromkeys(
        _VIDEO, ("a video", "save the pictures that you need as JPEG or PNG first (ffmpeg does it)")
    ),
    **dict.fromkeys((".psd", ".psb"), ("a Photoshop document", _CONVERT)),
    **dict.fromkeys((".svg", ".svgz"), ("an SVG drawing", _CONVERT)),
    **dict.fromkeys((".eps", ".ai"), ("a PostScript document", _CONVERT)),
    ".pdf": ("a PDF document", "save its pictures as JPEG or PNG first"),
    ".jxl": ("a JPEG XL image", _CONVERT),
    **dict.fromkeys((".jxr", ".wdp", ".hdp"), ("a JPEG XR image", _CONVERT)),
    ".exr": ("an OpenEXR image", _CONVERT),
    ".tga": ("a TGA image", _CONVERT),
    ".ico": ("an icon", _CONVERT),
    ".dcm": ("a DICOM file", _CONVERT),
    **dict.fromkeys(
        (".xcf", ".qoi", ".dds", ".pcx", ".bpg"), ("an image of a format that is not read", _CONVERT)
    ),
}
"""Pictures by their suffix that cannot be read: what each is, and what to do about it."""


_OF_FORMAT = {
    "png": ".png", "webp": ".webp", "bmp": ".bmp", "gif": ".gif", "tiff": ".tif", "pnm": ".pnm",
    "pam": ".pam", "jp2": ".jp2", "heif": ".heic", "hdr": ".hdr", "sun raster": ".ras",
}  # fmt: skip


def suffix_of(name: str) -> str:
    """The suffix of a file's name in small letters, with its dot; empty where it has none.

    Quicker than pathlib over millions of names. A name that is nothing but a suffix (``.jpg``) has none.
    """
    stem, dot, suffix = name[name.rfind("/") + 1 :].rpartition(".")
    return dot + suffix.lower() if stem else ""


def unread_told(suffixes: Mapping[str, int]) -> str:
    """``3 files in formats that are not read (.mov 2, .dng 1)``, from how many there are of each suffix."""
    each = ", ".join(
        f"{suffix} {count:,}" for suffix, count in sorted(suffixes.items(), key=lambda item: -item[1])
    )
    files = counted(sum(suffixes.values()), "file in a format", "files in formats")
    return f"{files} that {'is' if sum(suffixes.values()) == 1 else 'are'} not read ({each})"


def suffix_for(data: bytes) -> str:
    """The suffix that a photo's first bytes ask for; ``.jpg`` for anything unknown."""
    name = photo_format(data[:HEAD])
    return ".avif" if name == "heif" and b"avi" in data[:64] else _OF_FORMAT.get(name, ".jpg")


def is_photo_name(name: str) -> bool:
    """Whether a file is taken for a photo by the end of its name."""
    return suffix_of(name) in IMAGE_SUFFIXES
