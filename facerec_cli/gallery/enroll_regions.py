"""Enrolling by the face regions of photo managers: whom each face shows is in the photo's XMP metadata."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from facerec_cli.errors import FacerecError, InputError
from facerec_cli.gallery.enroll_inputs import ToEnroll
from facerec_cli.gallery.enroll_work import BATCH, EnrollWork, FoundFace, duplicate_of, photo_sha256
from facerec_cli.gallery.enrollment import EnrolledPhoto
from facerec_cli.gallery.person import person_name
from facerec_cli.gallery.xmp import FaceRegion, faces_of_regions, read_regions
from facerec_cli.images import ImageError, find_images
from facerec_cli.images.inputs import refuse_missing
from facerec_cli.progress import Progress
from facerec_cli.wording import counted

if TYPE_CHECKING:
    from facerec_cli.embed.photo_result import PhotoResult

log = logging.getLogger("facerec")


def photos_with_regions(inputs: Sequence[str]) -> ToEnroll:
    """The photos whose metadata name somebody; how many name nobody is told.

    Args:
        inputs: Photos, folders, lists and patterns.

    Raises:
        InputError: Not one names anybody.
    """
    refuse_missing(inputs)
    photos: list[str] = []
    regions: list[tuple[FaceRegion, ...]] = []
    failed: list[tuple[str, str, str]] = []
    found = find_images(inputs)
    for photo in found:
        try:
            named = tuple(_with_name(region) for region in read_regions(photo))
        except ImageError as fault:
            failed.append((photo, "", f"{fault.status}: {fault.reason}"))
            continue
        except FacerecError as fault:
            failed.append((photo, "", f"unreadable: {fault.message}"))
            continue
        if any(region.name for region in named):
            photos.append(photo)
            regions.append(named)
    others = len(found) - len(photos) - len(failed)
    if not photos and not failed:
        raise InputError(
            f"None of {counted(len(found), 'photo')} has a face region with a name.",
            hint="Let the photo manager write its face regions to the photos or to .xmp files beside them.",
        )
    if others:
        log.warning("Passed over: %s without a face region that has a name.", counted(others, "photo"))
    names = tuple(region.name for several in regions for region in several if region.name)
    return ToEnroll(names, tuple(photos), failed=tuple(failed), regions=tuple(regions))


def _with_name(region: FaceRegion) -> FaceRegion:
    """The region with the name as it is stored; "" where it can be none."""
    try:
        return replace(region, name=person_name(region.name) if region.name else "")
    except InputError:
        return replace(region, name="")


class RegionWork(EnrollWork):
    """A run of enrolling that may meet photos with face regions."""

    def regions(self, given: ToEnroll, progress: Progress, total: int) -> None:
        """Enroll the faces that regions name: each that of the detected face that it overlaps most.

        A region that overlaps none by ``xmp.LEAST_OVERLAP`` is told as ``no_face``.
        """
        from facerec_cli.embed import embed_photos

        self.rows += [
            EnrolledPhoto(path, name, *why.partition(": ")[::2]) for path, name, why in given.failed
        ]
        if not given.photos:
            return
        model, workers = self._model()
        options = replace(self.settings.embed_options(), faces="all")
        for start in range(0, len(given.photos), BATCH):
            photos, regions = (
                given.photos[start : start + BATCH],
                (given.regions or ())[start : start + BATCH],
            )
            results = embed_photos(photos, model, options, workers=workers, keep_crops=self.settings.crops)
            made: list[EnrolledPhoto | FoundFace] = []
            for result, drawn in zip(results, regions, strict=True):
                made += self._of_photo(result, drawn)
                progress(len(self.rows) + len(made), total)
            self._keep(made)

    def _of_photo(
        self, result: PhotoResult, drawn: Sequence[FaceRegion]
    ) -> Iterator[EnrolledPhoto | FoundFace]:
        """What becomes of each region of a photo that has a name."""
        boxes = [[0.0] * 4 if one.face is None else one.face.box.tolist() for one in result.faces]
        which = faces_of_regions(boxes, drawn)
        named = [(region.name, at) for region, at in zip(drawn, which, strict=True) if region.name]
        photo, sha256 = result.name, photo_sha256(result.name)
        known = self._known([photo] * len(named), [name for name, _ in named], [sha256] * len(named))
        for (name, at), is_known in zip(named, known, strict=True):
            if is_known:
                yield duplicate_of(photo, name)
            elif at >= 0:
                yield self._of_result(replace(result, faces=(result.faces[at],), found=1), name, sha256)
            else:
                status = "no_face" if result.faces else result.status
                yield EnrolledPhoto(photo, name, status, result.reason or "no face is in the region")
