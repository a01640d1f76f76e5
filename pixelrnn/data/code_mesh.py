"""Maps of codes without order whose entropy is known: what a prior over codes is measured against.

    c_t = W[(W^-1[west] + e_t) mod K]    if west is one of half of the codes, chosen at random,
    c_t = N[(N^-1[north] + e_t) mod K]   if it is one of the others

W and N are random orders of the K codes, and e_t is independent noise with probabilities q. Given
the past, c_t is a permuted copy of q, so that a map has the entropy H W H(q). A model must learn
which codes look west and which north, and both orders; the numbers of the codes tell nothing.
Axes: `N` maps, `H W` map, `K` codes.
"""

import numpy as np
from pydantic.dataclasses import dataclass

from pixelrnn import symbols
from pixelrnn.arguments import Levels, Positive, Seed
from pixelrnn.data.factory import served
from pixelrnn.data.mesh import Amount, entropy, noise_log_probs
from pixelrnn.data.synthetic import SyntheticImages


@dataclass(kw_only=True)
class CodeMeshImages(SyntheticImages):
    """Maps of codes without order, with known entropy; set model.embed for them.

    Args:
        height: number of rows, H.
        width: number of columns, W.
        levels: number of codes, K.
        amount: how much noise: q is proportional to exp(-min(e, K - e) / amount).
        process_seed: seed of the two orders, and of the codes that look west.
    """

    height: Positive = 8
    width: Positive = 8
    levels: Levels = 512
    amount: Amount = 1.0
    process_seed: Seed = 0

    pictured = False

    def __post_init__(self) -> None:
        self.image_shape = (1, self.height, self.width)
        size = f"{self.height}x{self.width}"
        self.dataset_id = f"code_mesh_{size}_{self.levels}_{self.amount:g}_{self.process_seed}"
        self.noise_log_probs = noise_log_probs(self.levels, "decay", self.amount)
        random = np.random.default_rng([self.process_seed, self.levels])
        self.orders = np.stack([random.permutation(self.levels) for _ in range(2)])  # W, N
        self.places = self.orders.argsort(1)  # the inverse of each
        self.looks_north = random.permutation(self.levels) % 2

    @property
    def entropy(self) -> float:
        """The entropy of a map, in nats."""
        return self.height * self.width * entropy(self.noise_log_probs)

    def draw(self, n: int, random: np.random.Generator) -> np.ndarray:
        """Independent maps, code by code from noise: uint8 (n, 1, H, W); uint16 above 256 codes."""
        noise = random.choice(
            self.levels, size=(n, self.height, self.width), p=np.exp(self.noise_log_probs)
        )
        maps = np.zeros((n, self.height, self.width), np.int64)
        nothing = np.zeros(n, np.int64)
        for i, j in np.ndindex(self.height, self.width):
            west = maps[:, i, j - 1] if j else nothing
            north = maps[:, i - 1, j] if i else nothing
            side = self.looks_north[west]
            place = self.places[side, np.where(side, north, west)]
            maps[:, i, j] = self.orders[side, (place + noise[:, i, j]) % self.levels]
        return maps[:, None].astype(symbols.stored(self.levels))

    def log_prob_of(self, images: np.ndarray) -> np.ndarray:
        """Exact log-probability in nats: integers (n, 1, H, W) -> float64 (n,)."""
        return self.noise_log_probs[self.residuals(images)].sum((1, 2))

    def residuals(self, images: np.ndarray) -> np.ndarray:
        """The noise that made the maps: (n, 1, H, W) -> int64 (n, H, W)."""
        codes = images[:, 0].astype(np.int64)
        west, north = np.zeros_like(codes), np.zeros_like(codes)
        west[:, :, 1:] = codes[:, :, :-1]
        north[:, 1:] = codes[:, :-1]
        side = self.looks_north[west]
        place = self.places[side, np.where(side, north, west)]
        return np.asarray((self.places[side, codes] - place) % self.levels)


CodeMesh = served(CodeMeshImages, batch_size=32)
