"""Face regions: in the two forms in which photo managers write them, turned photos, sidecars of others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from facerec_cli.errors import InputError
from facerec_cli.gallery.sidecars import write_sidecar
from facerec_cli.gallery.xmp import FaceRegion, faces_of_regions, read_regions, sidecar_of
from tests.images.test_image_metadata import photo

# As digiKam writes it: fields as attributes and in rdf:Description, tags of its own beside the regions.
DIGIKAM = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="XMP Core 4.4.0-Exiv2">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about="" xmlns:digiKam="http://www.digikam.org/ns/1.0/"
    xmlns:mwg-rs="http://www.metadataworkinggroup.com/schemas/regions/"
    xmlns:stDim="http://ns.adobe.com/xap/1.0/sType/Dimensions#" xmlns:stArea="http://ns.adobe.com/xmp/sType/Area#"
    digiKam:PickLabel="2">
   <digiKam:TagsList><rdf:Seq><rdf:li>People/Zoë &amp; Co</rdf:li></rdf:Seq></digiKam:TagsList>
   <mwg-rs:Regions rdf:parseType="Resource">
    <mwg-rs:AppliedToDimensions stDim:w="800" stDim:h="400" stDim:unit="pixel"/>
    <mwg-rs:RegionList>
     <rdf:Bag>
      <rdf:li>
       <rdf:Description mwg-rs:Name="Zoë &amp; Co" mwg-rs:Type="Face">
        <mwg-rs:Area stArea:x="0.25" stArea:y="0.5" stArea:w="0.1" stArea:h="0.2" stArea:unit="normalized"/>
       </rdf:Description>
      </rdf:li>
      <rdf:li>
       <rdf:Description mwg-rs:Name="Rex" mwg-rs:Type="Pet">
        <mwg-rs:Area stArea:x="0.6" stArea:y="0.5" stArea:w="0.1" stArea:h="0.2" stArea:unit="normalized"/>
       </rdf:Description>
      </rdf:li>
     </rdf:Bag>
    </mwg-rs:RegionList>
   </mwg-rs:Regions>
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>"""

# As Lightroom writes it: fields as elements of structures with parseType, develop settings beside them.
LIGHTROOM = """<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="Adobe XMP Core 7.0">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about="uuid:42" xmlns:crs="http://ns.adobe.com/camera-raw-settings/1.0/"
    xmlns:r="http://www.metadataworkinggroup.com/schemas/regions/" crs:Exposure2012="+0.35"
    xmlns:d="http://ns.adobe.com/xap/1.0/sType/Dimensions#" xmlns:a="http://ns.adobe.com/xmp/sType/Area#">
   <r:Regions rdf:parseType="Resource">
    <r:AppliedToDimensions rdf:parseType="Resource">
     <d:w>800</d:w><d:h>400</d:h><d:unit>pixel</d:unit>
    </r:AppliedToDimensions>
    <r:RegionList><rdf:Bag>
     <rdf:li rdf:parseType="Resource">
      <r:Area rdf:parseType="Resource">
       <a:h>0.2</a:h><a:w>0.1</a:w><a:x>0.25</a:x><a:y>0.5</a:y>
      </r:Area>
      <r:Type>Face</r:Type>
     </rdf:li>
    </rdf:Bag></r:RegionList>
   </r:Regions>
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>"""

BOX = (160.0, 160.0, 240.0, 240.0)  # in 800 x 400 stored pixels


def write_photo(folder: Path, orientation: int = 1, packet: str = "", *, kind: str = "jpeg") -> str:
    path = folder / f"a photo.{kind}"
    path.write_bytes(photo(kind, np.zeros((400, 800, 3), np.uint8), orientation, packet.encode()))
    return str(path)


def boxes(regions: tuple[FaceRegion, ...]) -> np.ndarray:
    return np.array([region.box for region in regions])


@pytest.mark.parametrize(("text", "name"), [(DIGIKAM, "Zoë & Co"), (LIGHTROOM, "")])
@pytest.mark.parametrize("kind", ["jpeg", "png", "webp"])
def test_regions_of_other_programs(text: str, name: str, kind: str, tmp_path: Path) -> None:
    path = write_photo(tmp_path, packet=text, kind=kind)
    (region,) = read_regions(path)
    assert region.name == name
    np.testing.assert_allclose(region.box, BOX, atol=1e-9)
    Path(path).with_suffix(".xmp").write_text(DIGIKAM.replace("Zoë", "Ada"))  # what Lightroom calls a sidecar
    assert [region.name for region in read_regions(path)] == ["Ada & Co"]
    sidecar_of(path).write_text(DIGIKAM.replace("Zoë", "Bo"))
    assert [region.name for region in read_regions(path)] == ["Bo & Co"]


def test_coordinates_are_of_the_stored_picture_unless_the_file_says_otherwise(tmp_path: Path) -> None:
    # Stored x 0.25, y 0.5, turned to the right: upright (1 - y, x) = (0.5, 0.25) of 400 x 800.
    path = write_photo(tmp_path, 6, DIGIKAM)
    np.testing.assert_allclose(boxes(read_regions(path)), [(160, 160, 240, 240)], atol=1e-9)
    path = write_photo(tmp_path, 8, DIGIKAM)  # (y, 1 - x)
    np.testing.assert_allclose(boxes(read_regions(path)), [(160, 560, 240, 640)], atol=1e-9)
    upright = DIGIKAM.replace('w="800" stDim:h="400"', 'w="400" stDim:h="800"')
    path = write_photo(tmp_path, 6, upright)
    np.testing.assert_allclose(boxes(read_regions(path)), [(80, 320, 120, 480)], atol=1e-9)
    cropped = DIGIKAM.replace('w="800" stDim:h="400"', 'w="800" stDim:h="600"')
    with pytest.raises(InputError, match="800 x 600 pixels, but the photo has 800 x 400: it was cropped"):
        read_regions(write_photo(tmp_path, 6, cropped))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_what_is_written_is_read_however_the_photo_is_turned(orientation: int, tmp_path: Path) -> None:
    path = write_photo(tmp_path, orientation)
    before = Path(path).read_bytes()
    size = (400, 800) if orientation > 4 else (800, 400)
    regions = [
        FaceRegion('Zoë <&> "Co" \'', (10, 20, 50, 80)),
        FaceRegion("李", (200, 200, size[0] + 9, size[1])),
    ]
    done = write_sidecar(path, regions)
    assert (done.status, done.regions, done.reason) == ("written", 2, "")
    assert done.path == f"{path}.xmp"
    assert Path(path).read_bytes() == before
    found = read_regions(path)
    assert [region.name for region in found] == [region.name for region in regions]
    np.testing.assert_allclose(boxes(found), [(10, 20, 50, 80), (200, 200, *size)], atol=1e-3)
    content = sidecar_of(path).read_bytes()
    assert write_sidecar(path, regions).status == "unchanged"
    assert sidecar_of(path).read_bytes() == content


def test_signs_that_xml_cannot_hold(tmp_path: Path) -> None:
    path = write_photo(tmp_path)
    write_sidecar(path, [FaceRegion("a\x00b\x1b\udce9]]>", (10, 20, 50, 80))])
    assert [region.name for region in read_regions(path)] == ["a\ufffdb\ufffd\ufffd]]>"]
    assert write_sidecar(path, [FaceRegion("a\x00b\x1b\udce9]]>", (10, 20, 50, 80))]).status == "unchanged"


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (DIGIKAM, ['digiKam:PickLabel="2"', "People/Zoë &amp; Co", 'Name="Rex"', 'x:xmptk="XMP Core']),
        (LIGHTROOM, ['crs:Exposure2012="+0.35"', 'rdf:about="uuid:42"', 'Core 7.0"', "<a:h>0.2</a:h>"]),
    ],
)
def test_the_sidecar_of_another_program_keeps_what_it_has(text: str, kept: list[str], tmp_path: Path) -> None:
    path = write_photo(tmp_path)
    sidecar_of(path).write_text(text, encoding="utf-8")
    ours = [FaceRegion("Zoë & Co", (165.0, 160.0, 245.0, 240.0)), FaceRegion("Ada", (500, 100, 600, 200))]
    done = write_sidecar(path, ours)
    assert (done.status, done.regions, done.reason) == ("merged", 2, "")
    found = read_regions(path)
    assert [region.name for region in found] == ["Zoë & Co", "Ada"]  # known, or named where nobody was
    np.testing.assert_allclose(boxes(found), [BOX, (500, 100, 600, 200)], atol=1e-3)
    written = sidecar_of(path).read_text(encoding="utf-8")
    assert all(part in written for part in kept)
    assert write_sidecar(path, ours).status == "unchanged"


def test_regions_are_added_in_the_frame_of_a_list_that_measured_the_upright_photo(tmp_path: Path) -> None:
    path = write_photo(tmp_path, 6)
    sidecar_of(path).write_text(DIGIKAM.replace('w="800" stDim:h="400"', 'w="400" stDim:h="800"'))
    write_sidecar(path, [FaceRegion("Ada", (300, 700, 380, 790))])
    np.testing.assert_allclose(
        boxes(read_regions(path)), [(80, 320, 120, 480), (300, 700, 380, 790)], atol=1e-3
    )


def test_a_face_that_is_called_otherwise_there_is_told_and_not_renamed(tmp_path: Path) -> None:
    path = write_photo(tmp_path)
    sidecar_of(path).write_text(DIGIKAM)
    before = sidecar_of(path).read_bytes()
    done = write_sidecar(path, [FaceRegion("Ada", BOX)])
    assert (done.status, done.regions) == ("unchanged", 0)
    assert done.reason == "Ada is called Zoë & Co there"
    assert sidecar_of(path).read_bytes() == before


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("<!DOCTYPE x [<!ENTITY a 'b'>]><x>&a;</x>", "a document type"),
        ("not XML", "cannot be read as XMP"),
        ("<x/>", "is no XMP file"),
        ("", "cannot be read as XMP"),
        (DIGIKAM.replace('h="400"', 'h="500"'), "it was cropped"),
    ],
)
def test_a_sidecar_that_cannot_be_merged_is_left_alone(content: str, reason: str, tmp_path: Path) -> None:
    path = write_photo(tmp_path)
    sidecar_of(path).write_text(content, encoding="utf-8")
    done = write_sidecar(path, [FaceRegion("Ada", BOX)])
    assert done.status == "failed" and reason in done.reason
    assert sidecar_of(path).read_text(encoding="utf-8") == content
    assert not list(tmp_path.glob(".facerec*"))


def test_photos_that_are_not_there(tmp_path: Path) -> None:
    done = write_sidecar(str(tmp_path / "gone.jpg"), [FaceRegion("Ada", BOX)])
    assert (done.status, done.reason) == ("failed", "no such file")
    (tmp_path / "text.jpg").write_text("no photo")
    assert write_sidecar(str(tmp_path / "text.jpg"), []).reason == "not an image of a known format"


def test_each_region_has_the_face_that_it_overlaps_most() -> None:
    faces = [(0, 0, 100, 100), (90, 0, 190, 100), (300, 300, 340, 340), (500, 500, 540, 540)]
    regions = [
        FaceRegion("right", (95, 0, 195, 100)),  # overlaps both of the first two
        FaceRegion("left", (5, 5, 100, 105)),
        FaceRegion("head", (280, 280, 360, 360)),  # twice as wide and high: exactly the least overlap
        FaceRegion("larger", (490, 480, 575, 565)),
    ]
    assert faces_of_regions(faces, regions) == [1, 0, 2, -1]
    assert faces_of_regions([], regions) == [-1] * 4 and faces_of_regions(faces, []) == []
    # One that nobody has named keeps its face from the neighbor's region.
    assert faces_of_regions(
        [(0, 0, 10, 10)], [FaceRegion("a", (4, 0, 14, 10)), FaceRegion("", (0, 0, 10, 10))]
    ) == [
        -1,
        0,
    ]


def test_damaged_metadata_are_read_or_refused_and_a_merge_can_be_read_again(tmp_path: Path) -> None:
    path = write_photo(tmp_path)
    ours = FaceRegion('Ada "<&>', (500, 100, 600, 200))
    random = np.random.default_rng(3)
    parts = (
        "<rdf:li>",
        "<!--x-->",
        "<?a b?>",
        '"',
        "xmlns='b'",
        "&#13;",
        "<rdf:Bag/>",
        "nan",
        "<![CDATA[<]]>",
    )
    merged = 0
    for turn in range(400):
        text = (DIGIKAM, LIGHTROOM)[turn % 2]
        at, length = random.integers(0, len(text)), int(random.integers(0, 40))
        inside = str(random.choice(parts)) if turn % 4 < 2 else ""
        text = text[:at] + inside + text[at + (0 if inside else length) :]
        sidecar_of(path).write_bytes(text.encode())
        try:
            before = read_regions(path)
        except InputError:
            continue
        if write_sidecar(path, [ours]).status == "merged":
            merged += 1
            after = read_regions(path)
            assert len(after) == len(before) + 1 and after[-1].name == ours.name
            assert write_sidecar(path, [ours]).status == "unchanged"
    assert merged > 20


@pytest.mark.parametrize("value", ["nan", "inf", "-0.5", "0", "1e400", "x", ""])
def test_areas_that_are_none(value: str, tmp_path: Path) -> None:
    text = DIGIKAM.replace('stArea:w="0.1"', f'stArea:w="{value}"')
    assert read_regions(write_photo(tmp_path, packet=text)) == ()
