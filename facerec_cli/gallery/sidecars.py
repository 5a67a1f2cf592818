"""Writing face regions to XMP sidecars; see ``xmp.py`` for the schema. A photo itself is never changed.

A sidecar that is there is another program's: its properties and regions stay, and regions are added. A region
of somebody's that is there already is not written again; one that is there under another name is not renamed.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast
from xml.sax.saxutils import escape, quoteattr

from facerec_cli.errors import InputError
from facerec_cli.files import sha256_of, write_file
from facerec_cli.gallery.gallery import Gallery
from facerec_cli.gallery.person import GalleryFace
from facerec_cli.gallery.xmp import (
    AREA,
    DIMENSIONS,
    LEAST_OVERLAP,
    MWG,
    RDF,
    FaceRegion,
    PhotoFrame,
    frame_of,
    is_turned,
    item_region,
    overlap,
    parse_packet,
    read_sidecar,
    region_items,
    regions_of,
    sidecar_of,
    struct_of,
)
from facerec_cli.images.metadata import Box
from facerec_cli.images.remote import is_url
from facerec_cli.progress import Progress, silent
from facerec_cli.wording import counted

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

_X, _XML = "adobe:ns:meta/", "http://www.w3.org/XML/1998/namespace"
_PREFIXES = {_X: "x", RDF: "rdf", MWG: "mwg-rs", AREA: "stArea", DIMENSIONS: "stDim"}
_NEW = f'<x:xmpmeta xmlns:x="{_X}" x:xmptk="facerec"><rdf:RDF xmlns:rdf="{RDF}"></rdf:RDF></x:xmpmeta>'


@dataclass(frozen=True, slots=True)
class Sidecar:
    """What became of a photo's regions.

    Attributes:
        photo: The photo.
        path: The sidecar.
        status: written (there was none), merged (regions were added), unchanged (all were there), or failed.
        regions: How many regions of ours it has.
        reason: Why it failed, or which faces are called otherwise there.
    """

    photo: str
    path: str
    status: str
    regions: int
    reason: str = ""


def write_sidecar(photo: str, regions: Sequence[FaceRegion]) -> Sidecar:
    """Write face regions beside a photo, or add them to its sidecar; a fault is told in the answer.

    Args:
        photo: The photo, which has to be there: its size and turn decide what is written.
        regions: Each with a name.

    Raises:
        OutputError: The sidecar cannot be written.
    """
    path = sidecar_of(photo)
    try:
        frame = frame_of(photo)
        there = path.is_file()
        data = read_sidecar(path) if there else _NEW.encode()
        root, prefixes = parse_packet(data, str(path))
        rdf = root if root.tag == f"{{{RDF}}}RDF" else root.find(f".//{{{RDF}}}RDF")
        if rdf is None:
            raise InputError(f"{path} is no XMP file.", hint="Move it away.")
        others = regions_of(root, frame, str(path))
    except InputError as fault:
        return Sidecar(photo, str(path), "failed", 0, fault.message.removeprefix(f"{photo}: "))
    new, called = [], []
    for region in regions:
        same = [other for other in others if overlap(other.box, region.box) >= LEAST_OVERLAP]
        if not same or all(not other.name for other in same):
            new.append(region)
        elif all(other.name != plain(region.name) for other in same):
            called.append(f"{region.name} is called {same[0].name} there")
    reason = "; ".join(called)
    if not new:
        return Sidecar(photo, str(path), "unchanged", len(regions) - len(called), reason)
    _add(rdf, new, frame)
    write_file(path, packet(root, prefixes))
    status = "merged" if there else "written"
    return Sidecar(photo, str(path), status, len(regions) - len(called), reason)


def export_regions(
    gallery: Gallery, *, people: Sequence[str] = (), progress: Progress = silent
) -> tuple[Sidecar, ...]:
    """Write who is on each photo into XMP sidecars beside the photos.

    Args:
        gallery: The gallery.
        people: Whose faces; empty means everybody's.
        progress: Told the photos done.

    Returns:
        What became of each photo, in their order.

    Raises:
        InputError: Nobody is called so.
        OutputError: A sidecar cannot be written.
    """
    chosen = [gallery.person(name) for name in people] or gallery.people()
    names = {person.id: person.name for person in chosen}
    photos: dict[str, list[GalleryFace]] = {}
    for face in gallery.faces():
        if face.person in names:
            photos.setdefault(face.path, []).append(face)
    done = []
    for number, (path, faces) in enumerate(photos.items(), 1):
        fault = _why_not(path, faces)
        if not path:
            called = sorted({names[face.person] for face in faces})
            fault = f"{fault} ({counted(len(faces), 'face')} of {', '.join(called)})"
        boxes = [cast("Box", face.box) for face in faces]  # of all, or there is a fault
        regions = [FaceRegion(names[f.person], box) for f, box in zip(faces, boxes, strict=True)]
        failed = Sidecar(path, str(sidecar_of(path)) if path else "", "failed", 0, fault)
        done.append(failed if fault else write_sidecar(path, regions))
        progress(number, len(photos))
    return tuple(done)


def _why_not(path: str, faces: Sequence[GalleryFace]) -> str:
    """Why no region is written beside a photo; "" where one can be."""
    if not path:
        return "nobody knows which photo it was"
    if is_url(path):
        return "nothing is written beside photos at a URL"
    if any(face.box is None for face in faces):
        return "an aligned crop has no box"
    if not os.path.isfile(path):  # noqa: PTH113 - False for odd names
        return "no such file"
    if faces[0].photo_sha256 and sha256_of(Path(path)) != faces[0].photo_sha256:
        return "the photo was changed since it was enrolled"
    return ""


def plain(name: str) -> str:
    """A name as XML can hold it: what XML 1.0 forbids, also as a reference, is shown as U+FFFD."""
    return "".join(sign if _allowed(sign) else "\N{REPLACEMENT CHARACTER}" for sign in name).strip()


def _allowed(sign: str) -> bool:
    """XML 1.0, production 2."""
    return sign in "\t\n\r" or " " <= sign <= "\ud7ff" or "\ue000" <= sign <= "\ufffd" or sign >= "\U00010000"


def _add(rdf: Element, regions: Sequence[FaceRegion], frame: PhotoFrame) -> None:
    """Name regions that have no name yet, and add the others to the list, which may have to be made."""
    holder = next(rdf.iter(f"{{{MWG}}}Regions"), None)
    if holder is None:
        first = rdf.find(f"{{{RDF}}}Description")
        about = "" if first is None else first.get(f"{{{RDF}}}about", "")  # one resource, one name
        description = _make(rdf, RDF, "Description", {f"{{{RDF}}}about": about})
        holder = _make(description, MWG, "Regions", _RESOURCE)
        size = _make(holder, MWG, "AppliedToDimensions", _RESOURCE)
        for name, value in (("w", frame.width), ("h", frame.height), ("unit", "pixel")):
            _make(size, DIMENSIONS, name).text = str(value)
    known = [(item, named) for item in region_items(holder) if (named := item_region(item)) is not None]
    fields = struct_of(holder)
    listed = fields.find(f"{{{MWG}}}RegionList")
    listed = _make(fields, MWG, "RegionList") if listed is None else listed
    bag = next((child for child in listed if isinstance(child.tag, str)), None)
    bag = _make(listed, RDF, "Bag") if bag is None else bag
    turned = is_turned(holder, frame, "it")
    for region in regions:
        box = frame.shares(region.box, turned=turned)
        unnamed = next(
            (i for i, (name, other) in known if not name and overlap(other, box) >= LEAST_OVERLAP), None
        )
        if unnamed is not None:
            unnamed.attrib.pop(f"{{{MWG}}}Name", None)
            old = unnamed.find(f"{{{MWG}}}Name")
            (_make(unnamed, MWG, "Name") if old is None else old).text = plain(region.name)
            continue
        item = _make(bag, RDF, "li", _RESOURCE)
        x1, y1, x2, y2 = box
        area = _make(item, MWG, "Area", _RESOURCE)
        shares = {"x": (x1 + x2) / 2, "y": (y1 + y2) / 2, "w": x2 - x1, "h": y2 - y1}
        for name, share in shares.items():
            _make(area, AREA, name).text = f"{share:.6f}"
        _make(area, AREA, "unit").text = "normalized"
        _make(item, MWG, "Type").text = "Face"
        _make(item, MWG, "Name").text = plain(region.name)


_RESOURCE = {f"{{{RDF}}}parseType": "Resource"}


def _make(parent: Element, space: str, name: str, attributes: dict[str, str] | None = None) -> Element:
    """A new last child, on a line of its own."""
    from xml.etree.ElementTree import SubElement

    element = SubElement(parent, f"{{{space}}}{name}", attributes or {})
    element.tail = "\n"
    if not (parent.text or "").strip():
        parent.text = "\n"
    return element


def packet(root: Element, prefixes: dict[str, str]) -> bytes:
    """An XMP packet as UTF-8."""
    known = dict(prefixes)
    body = _to_xml(root, known, top=True)
    begin = '<?xpacket begin="\N{ZERO WIDTH NO-BREAK SPACE}" id="W5M0MpCehiHzreSzNTczkc9d"?>'
    return f'{begin}\n{body}\n<?xpacket end="w"?>\n'.encode()


def _to_xml(element: Element, prefixes: dict[str, str], *, top: bool = False) -> str:
    """An element as text; all namespaces are declared on the top one, with the prefixes that they had.

    By hand, since ElementTree keeps prefixes in a table of the whole process and names all others ns0, ns1.
    """
    from xml.etree import ElementTree

    tail = "" if top else escape(element.tail or "")
    if element.tag is ElementTree.Comment:  # type: ignore[comparison-overlap]
        return f"<!--{element.text or ''}-->{tail}"
    if element.tag is ElementTree.ProcessingInstruction:  # type: ignore[comparison-overlap]
        return f"<?{element.text or ''}?>{tail}"
    name = _qualified(element.tag, prefixes)
    attributes = [f" {_qualified(key, prefixes)}={quoteattr(value)}" for key, value in element.items()]
    inside = escape(element.text or "", {"\r": "&#13;"})
    inside += "".join(_to_xml(child, prefixes) for child in element)
    if top:  # by now every namespace has its prefix
        attributes += [f" xmlns:{prefix}={quoteattr(uri)}" for uri, prefix in prefixes.items() if prefix]
    end = f">{inside}</{name}>" if inside else "/>"
    return f"<{name}{''.join(attributes)}{end}{tail}"


def _qualified(name: str, prefixes: dict[str, str]) -> str:
    """``{uri}name`` as ``prefix:name``; a namespace without a prefix is given one."""
    if not name.startswith("{"):
        return name
    uri, _, local = name[1:].partition("}")
    if uri == _XML:
        return f"xml:{local}"
    if not prefixes.get(uri):
        used = set(prefixes.values())
        wanted = [_PREFIXES.get(uri, ""), *(f"n{number}" for number in range(len(used) + 1))]
        prefixes[uri] = next(prefix for prefix in wanted if prefix and prefix not in used)
    return f"{prefixes[uri]}:{local}"
