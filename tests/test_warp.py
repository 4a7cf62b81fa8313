"""Warped images against scipy's affine maps."""

import math

import numpy as np
import pytest
import torch
from scipy.ndimage import affine_transform
from torch.nn.functional import affine_grid

from isthmus import Autoencoder, InvalidParameterError, Warp, load, save
from isthmus.corruptions import Cells
from isthmus.corruptions.warp import _old_places


def generator(seed=3):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("depth", [1, 3])
@pytest.mark.parametrize("shape", [(9, 9), (7, 12)])
@pytest.mark.parametrize(
    ("shift", "angle", "stretch"), [(2.5, 0, 0), (0, 40, 0), (0, 0, 0.5), (1.5, 25, 0.3)]
)
def test_each_row_is_seen_through_its_own_map(shape, depth, shift, angle, stretch):
    x = torch.from_numpy(np.random.default_rng(0).random((4, *shape, depth)))
    warp = Warp(*shape, shift=shift, angle=angle, stretch=stretch)
    found = warp(x.flatten(1), 1, generator()).view(x.shape).numpy()
    draws = 2 * torch.rand((4, 5), generator=generator(), dtype=torch.float64).numpy() - 1
    middle = (np.array(shape) - 1) / 2
    for image, seen, (turn, wide, high, *moved) in zip(x.numpy(), found, draws, strict=True):
        a = math.radians(angle) * turn
        across, down = (1 + stretch) ** wide, (1 + stretch) ** high
        matrix = np.array(
            [
                [down * math.cos(a), down * math.sin(a)],
                [-across * math.sin(a), across * math.cos(a)],
            ]
        )
        offset = middle - matrix @ middle + shift * np.array(moved[::-1])
        for channel in range(depth):
            expected = affine_transform(
                image[..., channel], matrix, offset, order=1, mode="grid-constant"
            )
            np.testing.assert_allclose(seen[..., channel], expected, atol=1e-9)


def test_without_any_change_an_image_stays():
    x = torch.from_numpy(np.random.default_rng(0).random((5, 16)))
    torch.testing.assert_close(Warp(4, shift=0, angle=0, stretch=0)(x, 1, generator()), x)
    assert Warp(4).in_units(3.0) == Warp(4)


def test_what_is_no_image_is_refused():
    x = torch.zeros(2, 15)
    with pytest.raises(InvalidParameterError, match=r"images of 4 by 4 pixels.*of 15 columns"):
        Warp(4)(x, 1, generator())
    cells = Cells(x, torch.ones(15, dtype=torch.bool), torch.zeros(15, dtype=torch.bool))
    with pytest.raises(InvalidParameterError, match="a table with a likelihood for each"):
        Warp(3, 5).of_cells(cells, generator())
    for wrong in ({"height": 0}, {"width": 2.5}, {"shift": -1}, {"angle": math.inf}):
        with pytest.raises(InvalidParameterError, match=f"Warp's {next(iter(wrong))} must be"):
            Warp(**wrong)


def test_it_is_kept_in_a_file(tmp_path):
    x = np.random.default_rng(0).random((30, 6, 5)).astype(np.float32)
    model = Autoencoder(2, corruption=[Warp(6, 5, shift=1), "masking"], max_epochs=1).fit(x)
    save(model, tmp_path / "m.safetensors")
    assert load(tmp_path / "m.safetensors").corruption == [Warp(6, 5, shift=1), "masking"]


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (28, 28), (5, 9)])
def test_places_are_those_of_torchs_affine_grid(shape):
    maps = torch.randn((6, 2, 3), dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    truth = affine_grid(maps, [6, 1, *shape], align_corners=False)
    torch.testing.assert_close(_old_places(maps, shape), truth, rtol=0, atol=1e-14)
