"""Patterns of patches, against loops over patches."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from isthmus.patches import Dictionary, cells, describe, learn, sample

SHAPES = {  # channels first, and the sides of a patch
    "signal": ((1, 17), (5,)),
    "grey": ((1, 9, 11), (4, 4)),
    "colour": ((3, 8, 8), (3, 3)),
    "as large as the image": ((1, 4, 4), (4, 4)),
}


def images(kind, n=20):
    shape, sides = SHAPES[kind]
    return torch.from_numpy(np.random.default_rng(0).random((n, *shape), np.float32)), sides


def all_patches(x, sides):
    """Every patch of one image by its place."""
    places = np.ndindex(*(size - side + 1 for size, side in zip(x.shape[1:], sides, strict=True)))
    return {
        place: x[(slice(None), *(slice(a, a + s) for a, s in zip(place, sides, strict=True)))]
        for place in places
    }


@pytest.mark.parametrize("kind", SHAPES)
@pytest.mark.parametrize("grid", [1, 2, 3])
def test_features_are_those_of_a_loop_over_patches(kind, grid):
    x, sides = images(kind)
    dictionary = learn(sample(x, sides, 500, seed=0), 7, seed=0)
    found = describe(x, dictionary, sides, grid, threshold=0.1).numpy()
    w, d = dictionary.whitening.double().numpy(), dictionary.atoms.double().numpy()
    into = cells(tuple(x.shape[2:]), sides, grid)
    for i in range(len(x)):
        active = {}
        for place, patch in all_patches(x[i].double().numpy(), sides).items():
            u = w @ patch.ravel()
            active[place] = np.maximum(0, d @ u / np.sqrt(u @ u + dictionary.floor) - 0.1)
        spread = [s - side + 1 for s, side in zip(x.shape[2:], sides, strict=True)]
        expected = []
        for cell in np.ndindex(*into):
            # as adaptive pooling has it: from ⌊i·s/g⌋ to ⌈(i + 1)·s/g⌉
            bounds = [
                (c * s // g, -(-(c + 1) * s // g))
                for c, s, g in zip(cell, spread, into, strict=True)
            ]
            inside = [
                a
                for place, a in active.items()
                if all(low <= p < high for p, (low, high) in zip(place, bounds, strict=True))
            ]
            expected.append(np.sqrt(np.mean(inside, axis=0)))
        np.testing.assert_allclose(found[i], np.stack(expected, 1).ravel(), atol=2e-5)


def test_whitened_patches_are_white():
    x = torch.from_numpy(np.float32(load_digits().images))[:, None]
    patches = sample(x, (3, 3), 50_000, seed=0)
    dictionary = learn(patches, 4, seed=0)
    centred = patches.double() - patches.double().mean(1, keepdim=True)
    variances = torch.linalg.eigvalsh(centred.T @ centred / len(centred))
    u = patches.double() @ dictionary.whitening.double().T
    whitened = torch.linalg.eigvalsh(u.T @ u / len(u))
    unit = variances.mean()
    truth = (variances / (variances + 0.02 * unit)).sort().values
    # the mean of a patch is taken out, so one direction has no variance
    torch.testing.assert_close(whitened, truth.clamp_min(0), atol=1e-4, rtol=1e-3)
    assert abs(float(whitened[0])) < 1e-6


def test_atoms_have_unit_length_and_a_seed_fixes_them():
    x, sides = images("grey")
    patches = sample(x, sides, 400, seed=3)
    one, other = (learn(patches, 6, seed=1) for _ in range(2))
    torch.testing.assert_close(one.atoms.norm(dim=1), torch.ones(6))
    assert torch.equal(one.atoms, other.atoms)


@pytest.mark.parametrize("kind", SHAPES)
def test_a_sample_holds_patches(kind):
    x, sides = images(kind, n=3)
    known = {p.tobytes() for image in x.numpy() for p in all_patches(image, sides).values()}
    drawn = sample(x, sides, 200, seed=0).numpy()
    assert {row.tobytes() for row in drawn} <= known
    assert len({row.tobytes() for row in drawn}) > min(len(known), 200) / 3


def test_light_does_not_matter_and_contrast_hardly_does():
    x, sides = images("grey")
    dictionary = learn(sample(x, sides, 500, seed=0), 7, seed=0)
    dim = Dictionary(dictionary.whitening, dictionary.atoms, dictionary.floor / 1e6)
    plain = describe(x, dim, sides, 2, 0.1)
    torch.testing.assert_close(describe(x + 3, dim, sides, 2, 0.1), plain, atol=1e-4, rtol=0)
    torch.testing.assert_close(describe(x * 7, dim, sides, 2, 0.1), plain, atol=1e-4, rtol=0)
    torch.testing.assert_close(
        describe(x * 0.5, dictionary, sides, 2, 0.1), plain, atol=0.02, rtol=0
    )


def test_images_without_contrast_have_no_patterns():
    dictionary = learn(torch.ones(50, 9), 5, seed=0)
    assert torch.isfinite(dictionary.kernel).all()
    assert (describe(torch.ones(2, 1, 5, 5), dictionary, (3, 3), 2, 0.0) == 0).all()


def test_hardly_any_contrast_gives_numbers_too():
    x, sides = images("grey")
    dictionary = learn(sample(x * 1e-38, sides, 500, seed=0), 7, seed=0)
    assert torch.isfinite(dictionary.kernel).all()
    assert torch.isfinite(describe(x * 1e-38, dictionary, sides, 2, 0.1)).all()


@pytest.mark.parametrize("unit", [1e-12, 1e12])
def test_units_do_not_matter(unit):
    x, sides = images("grey")
    found = []
    for scale in (1.0, unit):
        dictionary = learn(sample(x * scale, sides, 500, seed=0), 7, seed=0)
        found.append(describe(x * scale, dictionary, sides, 2, 0.1))
    torch.testing.assert_close(found[1], found[0], atol=1e-3, rtol=0)
