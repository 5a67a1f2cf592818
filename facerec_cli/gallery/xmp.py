"""Face regions in XMP, as photo managers keep them: read from photos and sidecars, written to sidecars.

The schema is that of the Metadata Working Group (Guidelines for Handling Image Metadata 2.0, section 5.9): a
region has a name, a type and an area whose center, width and height are shares of the picture's sides. Its
coordinates are of the *stored* picture, before EXIF turns it ("Region metadata is applied to the stored
image"); digiKam and Apple's phones are known to write them so. Boxes here are in pixels of the upright photo,
as everywhere in facerec, and are turned on the way in and out. A file of a program that measured the upright
picture is known by its AppliedToDimensions, whose sides are then the other way round.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from facerec_cli.errors import InputError
from facerec_cli.images.encoded import ImageError, read_encoded
from facerec_cli.images.headers import read_header
from facerec_cli.images.metadata import MAX_PACKET, Box, orientation_of, stored, upright, xmp_packet
from facerec_cli.untrusted import parse_xml

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

LEAST_OVERLAP = 0.25
"""The least share of common area (IoU) of a region and a face that are the same: that of a region drawn twice
as wide and high as the face, around all of the head."""

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
MWG = "http://www.metadataworkinggroup.com/schemas/regions/"
AREA, DIMENSIONS = "http://ns.adobe.com/xmp/sType/Area#", "http://ns.adobe.com/xap/1.0/sType/Dimensions#"
_SHAPE = 0.02  # by which share two pictures' proportions may differ, for thumbnails are rounded


@dataclass(frozen=True, slots=True)
class FaceRegion:
    """A face that somebody has drawn a rectangle around.

    Attributes:
        name: Who it is; "" where nobody said.
        box: x1, y1, x2, y2 in pixels of the upright photo.
    """

    name: str
    box: Box


@dataclass(frozen=True, slots=True)
class PhotoFrame:
    """What is needed of a photo to place regions in it.

    Attributes:
        width: Of the stored picture in pixels.
        height: The same.
        orientation: How it is turned, 1 to 8 as in EXIF.
        packet: Its own XMP packet, if it has one.
    """

    width: int
    height: int
    orientation: int
    packet: bytes | None = None

    def pixels(self, box: Box, *, turned: bool) -> Box:
        """A box of shares of the stored picture (of the upright one if ``turned``) in upright pixels."""
        width, height = (self.height, self.width) if self.orientation > 4 else (self.width, self.height)
        x1, y1, x2, y2 = box if turned else upright(box, self.orientation)
        return x1 * width, y1 * height, x2 * width, y2 * height

    def shares(self, box: Sequence[float], *, turned: bool = False) -> Box:
        """The reverse of :meth:`pixels`; what lies outside of the picture is cut off."""
        width, height = (self.height, self.width) if self.orientation > 4 else (self.width, self.height)
        x1, y1, x2, y2 = (
            min(max(value / side, 0.0), 1.0) for value, side in zip(box, (width, height) * 2, strict=True)
        )
        return (x1, y1, x2, y2) if turned else stored((x1, y1, x2, y2), self.orientation)


def frame_of(photo: str | os.PathLike[str]) -> PhotoFrame:
    """Read what is needed of a photo; no pixel is decoded.

    Raises:
        ImageError: It is missing, or no photo.
    """
    data = read_encoded(photo)
    try:
        header = read_header(data)
    except ValueError as fault:
        raise ImageError("unreadable", str(fault), name=os.fspath(photo)) from fault
    if header is None:
        raise ImageError("unreadable", "not an image of a known format", name=os.fspath(photo))
    return PhotoFrame(header.width, header.height, orientation_of(data), xmp_packet(data))


def sidecar_of(photo: str | os.PathLike[str]) -> Path:
    """Where a photo's sidecar is written: ``PHOTO.jpg.xmp``, which is its alone even beside ``PHOTO.raw``."""
    return Path(f"{os.fspath(photo)}.xmp")


def read_regions(photo: str | os.PathLike[str], frame: PhotoFrame | None = None) -> tuple[FaceRegion, ...]:
    """The faces that a photo's metadata name: of ``PHOTO.jpg.xmp``, else ``PHOTO.xmp``, else its own packet.

    Args:
        photo: The photo.
        frame: Of it, where it was read before.

    Returns:
        The regions of type Face, also those without a name; of the first of the three that has any.

    Raises:
        ImageError: The photo is missing, or no photo.
        InputError: Metadata cannot be read, or are of a picture of another shape (the photo was cropped).
    """
    frame = frame or frame_of(photo)
    for place in dict.fromkeys((sidecar_of(photo), Path(photo).with_suffix(".xmp"))):
        if place.is_file():
            regions = regions_of(parse_packet(read_sidecar(place), str(place))[0], frame, str(place))
            if regions:
                return regions
    if frame.packet is None:
        return ()
    where = f"The XMP packet of {os.fspath(photo)}"
    return regions_of(parse_packet(frame.packet, where)[0], frame, where)


def read_sidecar(path: Path) -> bytes:
    """The bytes of a sidecar.

    Raises:
        InputError: It cannot be read, or is too large.
    """
    try:
        if path.stat().st_size > MAX_PACKET:
            raise InputError(
                f"{path} is larger than any XMP file.", hint="Move it away, or name other photos."
            )
        return path.read_bytes()
    except OSError as fault:
        raise InputError(
            f"{path} cannot be read: {fault.strerror}.", hint="Name photos whose metadata you may read."
        ) from fault


def parse_packet(data: bytes, where: str) -> tuple[Element, dict[str, str]]:
    """The root of an XMP packet, and the prefixes of its namespaces.

    Raises:
        InputError: It is no XML, or of a kind that XMP is not.
    """
    try:
        return parse_xml(data.strip(b"\0"))
    except ValueError as fault:
        raise InputError(
            f"{where} cannot be read as XMP: {fault}.",
            hint="Write the metadata again, or move the file away.",
        ) from fault


def regions_of(root: Element, frame: PhotoFrame, where: str) -> tuple[FaceRegion, ...]:
    """The face regions of a packet.

    Raises:
        InputError: They are of a picture of another shape.
    """
    found = []
    for regions in root.iter(f"{{{MWG}}}Regions"):
        turned = is_turned(regions, frame, where)
        for item in region_items(regions):
            region = item_region(item)
            if region is not None:
                found.append(FaceRegion(region[0], frame.pixels(region[1], turned=turned)))
    return tuple(found)


def region_items(regions: Element) -> Iterator[Element]:
    """What holds the fields of each region, of any type."""
    for at in struct_of(regions).iterfind(f"{{{MWG}}}RegionList/*/{{{RDF}}}li"):
        yield struct_of(at)


def item_region(item: Element) -> tuple[str, Box] | None:
    """Name and box of a face's region, as shares of the picture; None for others and unusable ones."""
    area = item.find(f"{{{MWG}}}Area")
    kind = field(item, MWG, "Type") or "Face"  # it may be left out
    if area is None or kind.lower() != "face":
        return None
    holder = struct_of(area)
    if (field(holder, AREA, "unit") or "normalized") != "normalized":
        return None
    try:
        x, y, w, h = (float(field(holder, AREA, name)) for name in "xywh")
    except ValueError:
        return None
    box = (x - w / 2, y - h / 2, x + w / 2, y + h / 2)
    if not (0 < w <= 2 and 0 < h <= 2 and -1 <= x <= 2 and -1 <= y <= 2):  # NaN neither
        return None
    return field(item, MWG, "Name").strip(), box


def is_turned(regions: Element, frame: PhotoFrame, where: str) -> bool:
    """Whether regions were measured in the upright picture, against the guidelines."""
    size = struct_of(regions).find(f"{{{MWG}}}AppliedToDimensions")
    try:
        width, height = (float(field(struct_of(size), DIMENSIONS, side)) for side in "wh")  # type: ignore[arg-type]
        shape = width / height
    except (ValueError, ZeroDivisionError, AttributeError, TypeError):
        return False  # they do not say
    stored_shape = frame.width / frame.height
    if abs(shape / stored_shape - 1) < _SHAPE:
        return False
    if frame.orientation > 4 and abs(shape * stored_shape - 1) < _SHAPE:
        return True
    raise InputError(
        f"{where} has face regions of a picture of {width:g} x {height:g} pixels, but the photo has "
        f"{frame.width} x {frame.height}: it was cropped since.",
        hint="Draw the regions again in the program that wrote them.",
    )


def struct_of(element: Element) -> Element:
    """What holds a structure's fields: the element, or the rdf:Description in it; RDF has both."""
    inner = element.find(f"{{{RDF}}}Description")
    return element if inner is None else inner


def field(holder: Element, space: str, name: str) -> str:
    """A field of a structure, which may be an attribute or an element; "" for none."""
    value = holder.get(f"{{{space}}}{name}")
    return value if value is not None else (holder.findtext(f"{{{space}}}{name}") or "")


def faces_of_regions(boxes: Sequence[Sequence[float]], regions: Sequence[FaceRegion]) -> list[int]:
    """Which detected face each region is drawn around: pairs are formed from the highest overlap (IoU) down.

    Args:
        boxes: F boxes, x1, y1, x2, y2 in pixels of the upright photo.
        regions: R regions of the same photo; those without a name take part, so that a face is not theirs and
            a neighbor's.

    Returns:
        R numbers of faces, each once; -1 where no face overlaps the region by ``LEAST_OVERLAP``, or another
        region has more of it.
    """
    found = [-1] * len(regions)
    pairs = [
        (-overlap(box, region.box), r, f) for f, box in enumerate(boxes) for r, region in enumerate(regions)
    ]
    taken = set[int]()
    for share, r, f in sorted(pairs):
        if -share >= LEAST_OVERLAP and found[r] < 0 and f not in taken:
            taken.add(f)
            found[r] = f
    return found


def overlap(one: Sequence[float], other: Sequence[float]) -> float:
    """Common area of two boxes over the area of both together, 0 to 1 (IoU)."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    common = max(width, 0.0) * max(height, 0.0)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return common / (sum(areas) - common) if common else 0.0
