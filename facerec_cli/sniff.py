"""What a file is by its first bytes, whatever its name says.

A photo, a model, a list or a record file that cannot be used is often something else altogether: the pointer
that Git LFS left, the page that a download gave instead of the file, a video, an archive. Whoever reads files
asks here, so that the message can name it and say what to do.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from facerec_cli.errors import FacerecError, InputError

HEAD = 4096
"""As many bytes of a file's beginning as are worth handing in."""

# fmt: off
PHOTOS: dict[str, tuple[str, str]] = {  # format -> pattern of its first bytes, what to call it
    "jpeg": (r"\xff\xd8\xff", "a JPEG photo"),
    "png": (r"\x89PNG\r\n\x1a\n", "a PNG image"),
    "webp": (r"RIFF.{4}WEBPVP8[ LX]", "a WebP image"),
    "bmp": (r"BM", "a BMP image"),
    "gif": (r"GIF8[79]a", "a GIF image"),
    "tiff": (r"II[\x2a\x2b]\x00(?!.{4}CR\x02)|MM\x00[\x2a\x2b]", "a TIFF image"),
    "pnm": (r"P[1-6]\s|P[Ff]\s", "a PNM image"),
    "pam": (r"P7\s", "a PAM image"),
    "jp2": (r"\x00\x00\x00\x0cjP  |\xff\x4f\xff\x51", "a JPEG 2000 image"),
    "heif": (r".{4}ftyp(?:avi[fs]|hei[cfxms]|hev[cx]|mif1|msf1)", "an AVIF or HEIC photo"),
    "hdr": (r"#\?(?:RADIANCE|RGBE)", "a Radiance HDR image"),
    "sun raster": (r"\x59\xa6\x6a\x95", "a Sun raster image"),
}
"""The formats of photos that can be read."""

ONNX = "an ONNX model"
"""The name of a file that begins as ONNX does."""

_POINTER = "a Git LFS pointer, not the file itself"
_PAGE = "a web page"
_MESSAGE = ", such as the message of a failed download"
_CONVERT = "convert it to JPEG or PNG"
_STILLS = "save the pictures that you need as JPEG or PNG first (ffmpeg does it)"
_DEVELOP = "export it as JPEG or TIFF with a raw converter"
_UNPACK = "unpack it first"
_AGAIN = "look into it and download the file again"
RAW = ("a camera's raw photo", _DEVELOP)
_VIDEO = ("a video", _STILLS)
_SVG = ("an SVG drawing", _CONVERT)

_TEXTS: tuple[tuple[str, str, str], ...] = (  # pattern, what it is, what to do
    (r"version https://(?:git-lfs|hawser)\.github\.com/", _POINTER, "run: git lfs pull"),
    (r"(?i:\s*(?:<!--.{,2000}?-->\s*)*<(?:!doctype html|html|head|body|script|meta|title)\b)", _PAGE, _AGAIN),
    (r"\s*(?:<\?xml.{,2000}?)?(?:<!.{,2000}?>\s*)*<svg\b", *_SVG),
    (r"\s*<(?:\?xml\b|Error>|\w+:?\w*\s+xmlns)", "an XML document" + _MESSAGE, _AGAIN),
    (r"\s*(?:\{\s*(?:\"|\})|\[\s*[{\[\"\]])", "a JSON document" + _MESSAGE, _AGAIN),
    (r"%PDF-", "a PDF document", "save its pictures as JPEG or PNG first"),
    (r"%!PS|\xc5\xd0\xd3\xc6", "a PostScript document", _CONVERT),
)
_OTHERS: tuple[tuple[str, str, str], ...] = (
    (r"8BPS", "a Photoshop document", _CONVERT),
    (r"\xff\x0a|\x00\x00\x00\x0cJXL ", "a JPEG XL image", _CONVERT),
    (r"II\xbc\x01", "a JPEG XR image", _CONVERT),
    (r"\x76\x2f\x31\x01", "an OpenEXR image", _CONVERT),
    (r"\x00\x00[\x01\x02]\x00[\x01-\x40]\x00", "an icon", _CONVERT),
    (r"qoif|DDS |BPG\xfb|FLIF|gimp xcf |SIMPLE  =|AWBM|\x0a[\x00-\x05]\x01[\x01-\x18]",
     "an image of a format that is not read", _CONVERT),
    (r".{128}DICM", "a DICOM file", _CONVERT),
    (r"IIRO|IIRS|MMOR|IIU\x00|FUJIFILMCCD-RAW|FOVb|.{4}ftypcrx|II\x2a\x00.{4}CR\x02", *RAW),
    (r".{4}ftyp|.{4}(?:moov|mdat|wide)\x00|\x1aE\xdf\xa3|RIFF.{4}AVI |\x00\x00\x01[\xb3\xba]", *_VIDEO),
    (r"FLV\x01|\x30\x26\xb2\x75", *_VIDEO),
    (r"G.{187}G.{187}G", *_VIDEO),
    (r"OggS|ID3|RIFF.{4}WAVE|fLaC", "a sound file", "name a photo"),
    (r"PK(?:\x03\x04|\x05\x06)", "a ZIP archive", _UNPACK),
    (r"\x1f\x8b|BZh[1-9]|\xfd7zXZ\x00|\x28\xb5\x2f\xfd|7z\xbc\xaf\x27\x1c|Rar!\x1a\x07|\x04\x22\x4d\x18",
     "a compressed file", _UNPACK),
    (r".{257}ustar", "a tar archive", _UNPACK),
    (r"\x93NUMPY", "a NumPy array", ""),
    (r"PAR1", "a Parquet file", ""),
    (r"\x89HDF\r\n", "an HDF5 file", ""),
    (r"ARROW1\x00|FEA1", "an Arrow file", ""),
    (r"SQLite format 3\x00", "an SQLite database", ""),
    (r"\x80[\x02-\x05](?:[\x80-\x9f].|[\]}(cKX])", "a pickle of Python", ""),
    (r"\x0a\x23\xd7\xce", "a RecordIO file", ""),
    (r"\x08[\x01-\x20](?:\x12|\x3a|\x22)", ONNX, ""),
    (r".{4}TFL3", "a TensorFlow Lite file", "export the network to ONNX, e.g. with tf2onnx"),
    (r".{4}ORTM", "a model in ONNX Runtime's own .ort form", "use the .onnx file that it was made of"),
    (r"\x7fELF|MZ[^\n]{3}\x00|\xcf\xfa\xed\xfe|\xca\xfe\xba\xbe", "a program", ""),
)
# fmt: on


class Content(NamedTuple):
    """What a file is.

    Attributes:
        name: For sentences, with its article: ``a JPEG photo``, ``a Git LFS pointer, not the file itself``.
        advice: What to do, as half a sentence without a full stop; empty where nothing can be said.
        photo: The key of ``PHOTOS`` of a photo that can be read, else empty.
        text: Whether it is text, of which no other text begins like it.
    """

    name: str
    advice: str = ""
    photo: str = ""
    text: bool = False

    @property
    def hint(self) -> str:
        """The advice as a sentence."""
        return self.advice[:1].upper() + self.advice[1:] + "." if self.advice else ""


_PHOTO_PATTERNS = tuple((name, re.compile(p.encode("latin-1"), re.DOTALL)) for name, (p, _) in PHOTOS.items())
_OTHER_PATTERNS = tuple(
    (re.compile(pattern.encode("latin-1"), re.DOTALL), Content(name, advice, text=group is _TEXTS))
    for group in (_TEXTS, _OTHERS)
    for pattern, name, advice in group
)
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1a]")


def photo_format(head: bytes) -> str:
    """The key of ``PHOTOS`` that a file's first bytes ask for; empty where there is none."""
    for name, pattern in _PHOTO_PATTERNS:
        if pattern.match(head):
            return name
    return ""


def recognize(head: bytes) -> Content | None:
    """What a file is by its first ``HEAD`` bytes; None where they say nothing (plain text, most often)."""
    if name := photo_format(head):
        return Content(PHOTOS[name][1], photo=name)
    plain = head.removeprefix(b"\xef\xbb\xbf")[:HEAD]
    return next((content for pattern, content in _OTHER_PATTERNS if pattern.match(plain)), None)


def refuse_pointer(head: bytes, name: str, error: type[FacerecError] = InputError) -> None:
    """Refuse a Git LFS pointer and a web page, which stand where a file of any other kind was meant.

    Args:
        head: The file's first bytes.
        name: What the user calls the file.
        error: What is raised.

    Raises:
        FacerecError: Of that kind; the message says what the file is, the hint what to do.
    """
    content = recognize(head)
    if content is not None and content.name in (_POINTER, _PAGE):
        raise error(f"{name} is {content.name}.", hint=content.hint)


def refuse_as_list(head: bytes, name: str, *, what: str = "list") -> None:
    """Refuse what is no text list: a photo, an archive, an array, a web page, the pointer of Git LFS.

    Args:
        head: The file's first bytes.
        name: What the user calls it (``standard input``); a sentence begins with it.
        what: What kind of list was asked for.

    Raises:
        InputError: The message says what it is, the hint what to do.
    """
    content = recognize(head)
    if content is None or (not content.text and _CONTROL.search(head[:HEAD]) is None):
        return  # "BM" and "P5 " begin good lists too, but no list has control characters
    hint = content.hint or "A list is text with a line for each entry."
    if content.photo:
        hint = "Name photos by their own names, as in: facerec embed photo.jpg"
    name = "Standard input" if name == "standard input" else name  # a file's name stays as it is
    raise InputError(f"{name} is {content.name} and no {what}.", hint=hint)
