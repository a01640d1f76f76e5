"""The Ising model on a rectangle with free borders, solved exactly by a transfer matrix.

    p(x) = exp(J * sum over neighbours s s' + h * sum s) / Z,   s = 2 x - 1

Walk the sites in raster order. What is to come depends on the past through the last W spins alone
(the state, 2^W of them), and a backward pass over sites and states gives everything in closed form:

    B_t(state) = log sum_x exp(w_t(x, state) + B_{t+1}(next))     log Z = B_0
    D_t(state) = E[sum of the w to come | state]                  entropy = log Z - D_0

w_t holds the terms of site t with itself, its left and its upper neighbour. B also gives the
conditionals p(x_t | x_<t), hence independent samples and log-probabilities without a Markov chain.
Memory: 8 H W 2^W bytes.
"""

import functools
from typing import Annotated

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from pixelrnn.arguments import Positive
from pixelrnn.data.factory import served
from pixelrnn.data.synthetic import SyntheticImages

Width = Annotated[int, Field(ge=1, le=16)]


@dataclass
class IsingImages(SyntheticImages):
    """(1, height, width), 2 levels.

    Args:
        height: number of rows, H.
        width: number of columns, W; time and memory grow with 2^W.
        coupling: J; 0.4406868 is the critical point of the infinite lattice.
        field: the outer field, h.
    """

    height: Positive = 8
    width: Width = 8
    coupling: float = 0.4406868
    field: float = 0.0

    def __post_init__(self) -> None:
        self.image_shape = (1, self.height, self.width)
        self.levels = 2
        self.dataset_id = f"ising_{self.height}x{self.width}_J{self.coupling:g}_h{self.field:g}"

    @property
    def log_z(self) -> float:
        """Log of the partition function Z, nats."""
        return self._solution[1]

    @property
    def entropy(self) -> float:
        """The entropy of an image, in nats."""
        return self._solution[2]

    def draw(self, n: int, random: np.random.Generator) -> np.ndarray:
        """Independent images, site by site from the exact conditionals: uint8 (n, 1, H, W)."""
        log_odds, _, _ = self._solution
        sites = np.empty((len(log_odds), n), np.int64)
        state = np.zeros(n, np.int64)
        for site, of_state in enumerate(log_odds):
            probability = 1 / (1 + np.exp(-of_state[state]))
            sites[site] = random.random(n) < probability
            state = self._next(state, sites[site])
        return sites.T.reshape(n, *self.image_shape).astype(np.uint8)

    def log_prob_of(self, images: np.ndarray) -> np.ndarray:
        """Exact log-probability in nats: uint8 (n, 1, H, W) -> float64 (n,)."""
        log_odds, _, _ = self._solution
        sites = images.reshape(len(images), -1).T.astype(np.int64)
        state = np.zeros(len(images), np.int64)
        total = np.zeros(len(images))
        for of_state, x in zip(log_odds, sites, strict=True):
            total -= np.logaddexp(0, -(2 * x - 1) * of_state[state])
            state = self._next(state, x)
        return total

    def _next(self, state: np.ndarray, x: np.ndarray) -> np.ndarray:
        """Shift the new spin in at the low end; the spin above the next site is at the high end."""
        return ((state << 1) | x) & ((1 << self.image_shape[2]) - 1)

    @functools.cached_property
    def _solution(self) -> tuple[np.ndarray, float, float]:
        """Log-odds of x = 1 at every site in every state, (H W, 2^W); log Z; entropy. Nats."""
        _, height, width = self.image_shape
        states = np.arange(1 << width)
        west, north = 2 * (states & 1) - 1, 2 * (states >> (width - 1)) - 1
        log_odds = np.empty((height * width, 1 << width))
        log_sum = expected = np.zeros(1 << width)  # B and D after the last site
        for site in reversed(range(height * width)):
            row, column = divmod(site, width)
            pull = self.field + self.coupling * ((column > 0) * west + (row > 0) * north)
            down, up = self._next(states, 0 * states), self._next(states, 0 * states + 1)
            log_down, log_up = log_sum[down] - pull, log_sum[up] + pull
            log_odds[site] = log_up - log_down
            log_sum = np.logaddexp(log_down, log_up)
            p_down, p_up = np.exp(log_down - log_sum), np.exp(log_up - log_sum)
            expected = p_down * (expected[down] - pull) + p_up * (expected[up] + pull)
        log_z = float(log_sum[0])
        return log_odds, log_z, log_z - float(expected[0])

    def __getstate__(self) -> dict:
        """Without the solution, which a process that is spawned finds again."""
        return {name: value for name, value in self.__dict__.items() if name != "_solution"}


Ising = served(IsingImages, batch_size=32)
