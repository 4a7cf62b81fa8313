"""Binary codes: packed, searched by Hamming distance, kept in a store.

    d(a, b) = Σ_j [a_j ≠ b_j]            d(q, b) = Σ_j |q_j| [b_j ≠ (q_j > 0)]

Two codes are as far apart as the number of bits in which they differ; a real-valued query weighs
each of these bits by how sure it is of it. The answer is that of comparing the
query with each code, and among equally distant codes the lowest row comes first; only a store that
is asked for ``index="ivf"`` looks at a part of the codes.

| name | what it does |
|---|---|
| `pack`, `unpack` | bits (n, n_bits) as bytes (n, ⌈n_bits / 8⌉), the first bit highest, and back |
| `nearest`, `nearest_weighted` | the k nearest codes of bits, or of a real-valued query |
| `in_range` | all codes within a radius, by comparing with each |
| `Ball` | the same from sorted keys, by flipping bits or by pieces, where that is less work |
| `close_pairs`, `clusters` | near-duplicates: all pairs within a radius, and what they connect |
| `CodeStore` | ids, codes and payloads in a file or on a server, and these searches |

This room never imports torch, so that a store opens at once in a program that only searches.
"""

from isthmus.hashing.ball import Ball
from isthmus.hashing.codes import pack, unpack
from isthmus.hashing.engine import Hits, Item
from isthmus.hashing.pairs import Pairs, close_pairs, clusters
from isthmus.hashing.scan import in_range, nearest
from isthmus.hashing.store import CodeStore
from isthmus.hashing.weighted import nearest_weighted

__all__ = [
    "Ball",
    "CodeStore",
    "Hits",
    "Item",
    "Pairs",
    "close_pairs",
    "clusters",
    "in_range",
    "nearest",
    "nearest_weighted",
    "pack",
    "unpack",
]
