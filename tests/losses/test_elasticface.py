"""ElasticFace against its authors' program, and what its random margins promise."""

from __future__ import annotations

import pytest
import reference_cases
import torch

from facerec_cli.losses import LossInput
from facerec_cli.losses.arcface import ArcFace
from facerec_cli.losses.cosface import CosFace
from facerec_cli.losses.draws import normal
from facerec_cli.losses.elasticface import ElasticFace

CASES = reference_cases.cases("elasticface")
CPU = torch.device("cpu")


@pytest.mark.parametrize("title", CASES)
def test_authors_program(title: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same margins, in the place of torch.normal there and of the hash here."""
    case = CASES[title]
    loss = reference_cases.build("elasticface", case)
    monkeypatch.setattr(loss, "drawn", lambda *_: case["drawn"])
    reference_cases.compare(loss, case)


def test_plus_gives_the_farthest_photo_the_largest_margin() -> None:
    cosine = torch.tensor([0.1, 0.9, -0.4, 0.5])
    for variant in ("arc", "cos"):
        margins = ElasticFace(3, 4, variant=variant, plus=True).margins(cosine, 7)
        assert margins.argsort().tolist() == [1, 3, 0, 2]
        drawn = ElasticFace(3, 4, variant=variant, plus=True).drawn(cosine, 7)
        assert torch.equal(margins.sort().values, drawn.sort().values)
    # Ranks 0..3 of the rows are 2, 0, 3, 1: the official code reads them the other way around.
    official = ElasticFace(3, 4, plus=True, official_order=True).margins(cosine, 7)
    assert official.argsort().tolist() == [2, 0, 3, 1]


def test_without_deviation_it_is_arcface_and_cosface() -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(8, 6, generator=generator, dtype=torch.float64)
    batch = LossInput(x, torch.tensor([0, 1, 2, 3, 4, 0, 1, 2]))
    for variant, kind in (("arc", ArcFace), ("cos", CosFace)):
        elastic = ElasticFace(5, 6, variant=variant, deviation=0.0, margin=0.3).double()
        torch.testing.assert_close(elastic(batch)[0], kind(5, 6, margin=0.3).double()(batch)[0])


def test_margins_depend_on_seed_and_step_only() -> None:
    first = normal(1000, 3, 17, CPU)
    assert torch.equal(first, normal(1000, 3, 17, CPU))
    torch.manual_seed(5)
    assert torch.equal(first, normal(1000, 3, 17, CPU))
    for other in (normal(1000, 4, 17, CPU), normal(1000, 3, 18, CPU), normal(1000, 17, 3, CPU)):
        assert abs(float(torch.corrcoef(torch.stack([first, other]))[0, 1])) < 0.12
    # As a matter of record: another number would make a resumed run go on with other margins.
    assert float(first[0]) == pytest.approx(0.21565607, abs=1e-6)


def test_margins_are_normal() -> None:
    drawn = torch.cat([normal(500, 0, step, CPU) for step in range(400)]).double()
    assert abs(float(drawn.mean())) < 0.01
    assert float(drawn.std()) == pytest.approx(1, abs=0.01)
    quantiles = torch.tensor([-1.959964, -0.674490, 0.0, 0.674490, 1.959964], dtype=torch.float64)
    shares = (drawn[:, None] < quantiles).double().mean(0)
    torch.testing.assert_close(
        shares, torch.tensor([0.025, 0.25, 0.5, 0.75, 0.975], dtype=torch.float64), atol=0.005, rtol=0
    )
    rows = drawn.view(400, 500)  # neither neighboring steps nor neighboring rows go together
    assert abs(float((rows[1:] * rows[:-1]).mean())) < 0.01
    assert abs(float((rows[:, 1:] * rows[:, :-1]).mean())) < 0.01
