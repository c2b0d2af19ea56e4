"""The labels of a colour mask that a lossy codec has been through: analysis by synthesis, in NumPy.

What a codec does to a mask is known: flat areas keep their colour within a level or two, luma is blurred little, one
chroma sample stands for a *cell* of two by two pixels (4:2:0) or for one pixel (4:4:4). So the mask is not looked up
colour by colour, which would find a third class wherever two others mix, but guessed and then predicted:

1. **Guess.** A cell whose samples are all within a tolerance of one legend colour is guessed to be of it.
2. **Confirm.** A guess is an anchor where enough of the three by three cells around agree. Anchors are final.
3. **Survey.** For every other cell: which labels do the anchors around have? Near ones weigh more.
4. **Solve.** Of all the ways to give the cell's pixels labels from these candidates and from the ring of pixels around
   it, take the cheapest: squared luma error of each pixel, squared error of its chroma sample against the mean of
   its pixels (with an eighth of the rows above and below, as scalers do it), and a price for every pair of neighbouring
   pixels that differ.
5. **Newcomers.** Where no such way is cheap, labels that nobody around has are tried at an extra price: lines of one or
   two pixels never become anchors. Labels without anchors anywhere in the picture cost more still.

Before that, every fourth unsure cell is solved for the sake of what it leaves unexplained: that noise sets the scale
on which errors cost, so one set of prices serves all rates.

Steps 4 and 5 run over the unsure cells in four phases (even and odd rows and columns), so no cell is solved at the same
time as its neighbour and the order inside a phase cannot matter; they are repeated where something around has changed.

Flat areas that are far from every legend colour become an anonymous label of their own, and void (0) in the end.

All arithmetic is integer; the compiled twin (native/repair.c) gives the same bits.
"""

from dataclasses import astuple, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["MAX_COLORS", "RepairParameters", "prepare_repair", "repair"]

Ints = NDArray[np.int32]
Bytes = NDArray[np.uint8]

MAX_COLORS = 254
MAX_RADIUS = 8
MAX_SMOOTH = 4095
ANCHORS = 3
CANDIDATES = 4
CHROMA_STEPS = 1024
FLAT_LUMA = 8
FLAT_CHROMA = 4
ALIEN_COST = 48
NO_ENERGY = np.iinfo(np.int32).max
SOUND_EVERY = 4
SOUND_CAP = 900
SOUND_PRIOR = 64

# ring:   0  1  2  3      pixels:  0 1      Place 12 is always empty. The last row is for cells of one pixel, whose
#         4        5               2 3      eight neighbours lie in places 0, 1, 3, 4, 5, 8, 9 and 11.
#         6        7
#         8  9 10 11
STRAIGHT = ((1, 4), (2, 5), (6, 9), (7, 10), (1, 4, 5, 9))
DIAGONAL = ((0, 2, 6), (1, 3, 7), (4, 8, 10), (5, 9, 11), (0, 3, 8, 11))
RING_2 = ((-1, -1), (-1, 0), (-1, 1), (-1, 2), (0, -1), (0, 2), (1, -1), (1, 2), (2, -1), (2, 0), (2, 1), (2, 2))
RING_1 = ((-1, -1), (-1, 0), None, (-1, 1), (0, -1), (0, 1), None, None, (1, -1), (1, 0), None, (1, 1))
TAPS = (1, 2, 9, 10)


@dataclass(frozen=True, slots=True)
class RepairParameters:
    """Numbers of the repair; the compiled twin takes them in this order. Prices are sixteenths of a unit.

    A unit is one standard deviation, squared, of the noise that a codec leaves at borders. The defaults were found on
    one driving sequence at three rates and left alone on every other set (see benchmarks/lossy_masks.py).

    Attributes:
        tolerance_luma: levels of luma within which a sample may be of a colour.
        tolerance_chroma: the same for both chroma samples.
        support: how many of three by three cells, itself included, must agree to make an anchor.
        radius: how far to look for anchors, in cells, at most 8.
        luma_variance: of the noise at borders, in levels squared, before it is sounded.
        chroma_variance: the same for chroma.
        luma_cap: the most that one luma sample may cost.
        chroma_cap: the most that one pair of chroma samples may cost.
        smooth: for two pixels side by side that differ.
        smooth_diagonal: for two pixels corner to corner that differ.
        new_label: for a label that neither an anchor around nor the ring has.
        rare_label: more of the same where the picture has hardly an anchor of it.
        rare_below: fewer anchors than this are hardly any.
        sweeps: how often at most a cell is solved.
        vertical_tap: weight, in 64ths, of each of the four pixels above and below in a 4:2:0 chroma sample.
        alien: a flat area further than this from every colour, in levels of its worst plane, is void.
        noise_luma: sixteenths of the mean squared error of luma found by sounding that become its variance; 0 = do not
            sound.
        noise_chroma: the same for chroma.
        variance_least: the variances stay between this ...
        variance_most: ... and this.
    """

    tolerance_luma: int = 5
    tolerance_chroma: int = 5
    support: int = 5
    radius: int = 4
    luma_variance: int = 45
    chroma_variance: int = 40
    luma_cap: int = 800
    chroma_cap: int = 800
    smooth: int = 24
    smooth_diagonal: int = 17
    new_label: int = 192
    rare_label: int = 100
    rare_below: int = 5
    sweeps: int = 4
    vertical_tap: int = 4
    alien: int = 24
    noise_luma: int = 40
    noise_chroma: int = 16
    variance_least: int = 12
    variance_most: int = 250

    def __post_init__(self) -> None:
        if not 0 <= self.radius <= MAX_RADIUS:
            raise ValueError(f"radius: expected 0..{MAX_RADIUS} cells, got {self.radius}")
        if min(self.luma_variance, self.chroma_variance, self.variance_least) < 1:
            raise ValueError("luma_variance, chroma_variance, variance_least: expected 1 or more")
        if self.variance_least > self.variance_most:
            raise ValueError(
                f"variance_most: expected {self.variance_least} (variance_least) or more, got {self.variance_most}"
            )
        if not (0 <= self.tolerance_luma <= 255 and 0 <= self.tolerance_chroma <= 255):
            raise ValueError("tolerance_luma, tolerance_chroma: expected 0..255 levels")
        if not 0 <= self.vertical_tap <= 8 or self.vertical_tap % 4:
            raise ValueError(f"vertical_tap: expected 0, 4 or 8 (64ths), got {self.vertical_tap}")
        if max(self.smooth, self.smooth_diagonal) > MAX_SMOOTH:
            raise ValueError(f"smooth, smooth_diagonal: expected 0..{MAX_SMOOTH}")
        if max(astuple(self)) > 1 << 20 or min(astuple(self)) < 0:
            raise ValueError("repair parameters: expected 0..1048576")

    def as_array(self) -> Ints:
        """(20,) int32, as the compiled twin takes them."""
        return np.array(astuple(self), np.int32)


def prepare_repair(y: Bytes, cb: Bytes, cr: Bytes, colors: Bytes) -> tuple[Bytes, Bytes, Bytes, Bytes, int]:
    """Check the planes, and pad luma to whole cells by repeating its edge.

    Returns:
        y (rows * cell, cols * cell), cb and cr (rows, cols), colors (n, 3), all uint8 in C order, and cell, 1 or 2.
    """
    for name, plane in (("y", y), ("cb", cb), ("cr", cr)):
        if plane.ndim != 2 or plane.dtype != np.uint8:
            raise ValueError(f"{name}: expected (H, W) uint8, got {plane.shape} {plane.dtype}")
    if colors.ndim != 2 or colors.shape[1] != 3 or colors.dtype != np.uint8 or not 1 <= len(colors) <= MAX_COLORS:
        raise ValueError(f"colors: expected (1..{MAX_COLORS}, 3) uint8, got {colors.shape} {colors.dtype}")
    height, width = y.shape
    halves = ((height + 1) // 2, (width + 1) // 2)
    if cb.shape != cr.shape or cb.shape not in (y.shape, halves):
        raise ValueError(
            f"planes: luma is {y.shape}, chroma {cb.shape} and {cr.shape}; expected chroma {y.shape} or {halves}"
        )
    cell = 1 if cb.shape == y.shape else 2
    if cell == 2 and (height % 2 or width % 2):
        y = np.pad(y, ((0, height % 2), (0, width % 2)), mode="edge")
    planes = (np.ascontiguousarray(plane) for plane in (y, cb, cr, colors))
    return *planes, cell  # type: ignore[return-value]


def repair(
    y: Bytes, cb: Bytes, cr: Bytes, colors: Bytes, parameters: RepairParameters | None = None
) -> tuple[Bytes, NDArray[np.int64]]:
    """Label every pixel of a lossy mask.

    Args:
        y: (H, W) uint8 luma.
        cb: uint8, (H, W) or ((H + 1) // 2, (W + 1) // 2).
        cr: the same shape as cb.
        colors: (n, 3) uint8, the legend in the planes' own colour space; at most 254.
        parameters: see RepairParameters.

    Returns:
        (H, W) uint8, 1 + position in colors or 0; and (4,) int64 pixels: settled as exact (within one level), as near,
        repaired, and left void. They sum to H * W.
    """
    height, width = y.shape
    job = _Job(*prepare_repair(y, cb, cr, colors), parameters or RepairParameters())
    if not y.size:
        return np.zeros(y.shape, np.uint8), np.zeros(4, np.int64)
    guessed, exact = job.guess()
    job.confirm(guessed)
    job.survey()
    if job.p.noise_luma:
        job.sound()
    for _ in range(job.p.sweeps):
        for phase in range(4):
            job.solve(phase)
    return job.finish(exact, height, width)


@dataclass(slots=True)
class _Cells:
    """A batch of cells under examination; m of them, k pixels each."""

    pixels: Ints  # (m, k)
    ring: Ints  # (m, 13)
    cb: Ints  # (m,)
    cr: Ints
    inner: Ints  # (m,) weight of one pixel in the chroma sample, in 64ths
    rest_cb: Ints  # (m,) 64 times the sample, less what lies above and below
    rest_cr: Ints
    labels: Ints  # (m, 5)
    count: Ints  # (m,)
    cost: Ints  # (m, k, 5)
    tint_cb: Ints  # (m, 5)
    tint_cr: Ints
    energy: Ints  # (m,)
    solution: Ints  # (m, k)

    def take(self, chosen: NDArray[Any]) -> "_Cells":
        return _Cells(*(getattr(self, name)[chosen] for name in self.__slots__))


class _Job:
    """One picture on its way from samples to labels."""

    def __init__(self, y: Bytes, cb: Bytes, cr: Bytes, colors: Bytes, cell: int, p: RepairParameters) -> None:
        self.p, self.cell = p, cell
        self.y, self.cb, self.cr = (plane.astype(np.int32) for plane in (y, cb, cr))
        self.colors = colors.astype(np.int32)
        self.n, self.alien = len(colors), len(colors) + 1
        self.price(p.luma_variance, p.chroma_variance)
        self.tints = np.zeros((self.n + 2, 2), np.int32)
        self.tints[1:-1] = self.colors[:, 1:]
        rows, cols = cb.shape
        self.labels = np.zeros((rows * cell + 4, cols * cell + 4), np.int32)
        self.dirty = np.ones((rows + 2, cols + 2), bool)

    def price(self, luma_variance: int, chroma_variance: int) -> None:
        """Make the tables of what an error costs, in sixteenths of a squared standard deviation."""
        step = np.arange(256, dtype=np.int32)
        luma = np.minimum(16 * step * step // luma_variance, self.p.luma_cap)
        self.luma_cost = np.full((self.n + 2, 256), ALIEN_COST, np.int32)  # by label and luma
        self.luma_cost[1:-1] = luma[np.abs(step[None, :] - self.colors[:, :1])]
        step = np.arange(CHROMA_STEPS, dtype=np.int32)
        self.chroma_cost = np.minimum(step * step // chroma_variance, self.p.chroma_cap)

    def corners(self) -> list[Ints]:
        """The luma of pixel 0, 1, ... of every cell, (rows, cols) each."""
        return [self.y[i :: self.cell, j :: self.cell] for i in range(self.cell) for j in range(self.cell)]

    def guess(self) -> tuple[Ints, NDArray[np.bool_]]:
        """For every cell the label that all its samples are near to, 0 for none; and whether it is within one level."""
        best = np.zeros(self.cb.shape, np.int32)
        best_sum = np.full(self.cb.shape, NO_ENERGY, np.int32)
        exact = np.zeros(self.cb.shape, bool)
        corners = self.corners()
        for position, (luma, tint_cb, tint_cr) in enumerate(self.colors):
            away = [np.abs(corner - luma) for corner in corners]
            worst = np.maximum.reduce(away)
            away_cb, away_cr = np.abs(self.cb - tint_cb), np.abs(self.cr - tint_cr)
            chroma = np.maximum(away_cb, away_cr)
            total = sum(away) + len(away) * (away_cb + away_cr)
            better = (worst <= self.p.tolerance_luma) & (chroma <= self.p.tolerance_chroma) & (total < best_sum)
            best[better], best_sum[better] = position + 1, total[better]
            exact[better] = np.maximum(worst, chroma)[better] <= 1
        best[(best == 0) & self.is_alien()] = self.alien
        return best, exact

    def is_alien(self) -> NDArray[np.bool_]:
        """Cells that are flat, with their neighbours, and far from every legend colour."""
        corners = self.corners()
        alien: NDArray[np.bool_] = np.maximum.reduce(corners) - np.minimum.reduce(corners) <= FLAT_LUMA
        for plane, limit in ((corners[0], FLAT_LUMA), (self.cb, FLAT_CHROMA), (self.cr, FLAT_CHROMA)):
            steep = np.abs(np.diff(plane, axis=0)) > limit
            alien[1:] &= ~steep
            alien[:-1] &= ~steep
            steep = np.abs(np.diff(plane, axis=1)) > limit
            alien[:, 1:] &= ~steep
            alien[:, :-1] &= ~steep
        for luma, cb, cr in self.colors:
            away = np.maximum(np.abs(self.cb - cb), np.abs(self.cr - cr))
            alien &= np.maximum(away, np.abs(corners[0] - luma)) > self.p.alien
        return alien

    def confirm(self, guessed: Ints) -> None:
        """Make anchors of the guesses that their neighbours share, and list the cells that are left."""
        rows, cols = guessed.shape
        around = np.pad(guessed, 1)
        same = sum((around[i : i + rows, j : j + cols] == guessed).astype(int) for i in range(3) for j in range(3))
        self.anchors = np.where(same >= self.p.support, guessed, 0)
        frequency = np.bincount(self.anchors.ravel(), minlength=self.n + 2)
        rare = np.where(frequency < self.p.rare_below, self.p.rare_label, 0)
        self.newcomer = (self.p.new_label + rare).astype(np.int32)
        self.labels[2:-2, 2:-2] = self.spread(self.anchors)
        row, col = np.nonzero(self.anchors == 0)
        self.phase = row % 2 * 2 + col % 2
        order = np.argsort(self.phase, kind="stable")
        self.phase, self.row, self.col = self.phase[order], row[order].astype(np.int32), col[order].astype(np.int32)

    def spread(self, cells: NDArray[Any]) -> NDArray[Any]:
        """(rows, cols) → a value for every pixel."""
        return cells.repeat(self.cell, axis=0).repeat(self.cell, axis=1)

    def survey(self) -> None:
        """For every unsure cell the labels of the anchors around, the heaviest first, (m, ANCHORS)."""
        radius, m, width = self.p.radius, len(self.row), self.n + 2
        around = np.pad(self.anchors, radius)
        weights = np.zeros(m * width, np.int64)
        base = np.arange(m) * width
        for i in range(2 * radius + 1):
            for j in range(2 * radius + 1):
                weight = 256 // ((i - radius) ** 2 + (j - radius) ** 2 + 1)
                weights[base + around[self.row + i, self.col + j]] += weight
        table = weights.reshape(m, width)
        table[:, 0] = 0
        self.seen = np.zeros((m, ANCHORS), np.int32)
        for k in range(ANCHORS):
            label = table.argmax(axis=1)
            self.seen[:, k] = np.where(table[np.arange(m), label] > 0, label, 0)
            table[np.arange(m), label] = 0

    def examine(self, row: Ints, col: Ints, seen: Ints) -> _Cells:
        """The labels that explain some unsure cells best, by what is known around them now."""
        cells = self.look(row, col)
        self.gather(cells, seen)
        self.try_all(cells, cells.count, np.zeros(len(row), np.int32))
        self.try_newcomers(cells)
        return cells

    def sound(self) -> None:
        """Solve some of the cells for the sake of what they leave unexplained, and price errors by that.

        A codec's noise depends on its rate: the same error is a sign at a low rate and nothing at a high one.
        """
        some = slice(None, None, SOUND_EVERY)
        cells = self.examine(self.row[some], self.col[some], self.seen[some])
        known = (cells.solution > 0) & (cells.solution != self.alien)
        color = np.concatenate([np.zeros_like(self.colors[:1]), self.colors, np.zeros_like(self.colors[:1])])
        away = cells.pixels - color[cells.solution, 0]
        luma = int(np.minimum(away * away, SOUND_CAP)[known].sum())
        whole = known.all(axis=1)
        chroma = 0
        for channel, rest in ((1, cells.rest_cb), (2, cells.rest_cr)):
            away = np.abs(rest - cells.inner * color[cells.solution, channel].sum(axis=1)) >> 6
            chroma += int(np.minimum(away * away, SOUND_CAP)[whole].sum())
        p = self.p
        self.price(
            _averaged(luma, int(known.sum()), p.noise_luma, p.luma_variance, p),
            _averaged(chroma, 2 * int(whole.sum()), p.noise_chroma, p.chroma_variance, p),
        )

    def solve(self, phase: int) -> None:
        """Give the dirty cells of one phase the labels that explain their samples best."""
        chosen = (self.phase == phase) & self.dirty[self.row + 1, self.col + 1]
        row, col = self.row[chosen], self.col[chosen]
        self.dirty[row + 1, col + 1] = False
        cells = self.examine(row, col, self.seen[chosen])
        top, left = row * self.cell + 2, col * self.cell + 2
        changed = np.zeros(len(row), bool)
        for k in range(self.cell * self.cell):
            place = (top + k // self.cell, left + k % self.cell)
            changed |= self.labels[place] != cells.solution[:, k]
            self.labels[place] = cells.solution[:, k]
        row, col = row[changed] + 1, col[changed] + 1
        for i in (-1, 0, 1):
            for j in (-1, 0, 1):
                if i or j:
                    self.dirty[row + i, col + j] = True

    def look(self, row: Ints, col: Ints) -> _Cells:
        """Read the samples of cells and the labels around them."""
        m, k, top, left = len(row), self.cell * self.cell, row * self.cell, col * self.cell
        ring = np.zeros((m, 13), np.int32)
        for place, offset in enumerate(RING_2 if self.cell == 2 else RING_1):
            if offset is not None:
                ring[:, place] = self.labels[top + 2 + offset[0], left + 2 + offset[1]]
        cb, cr = self.cb[row, col], self.cr[row, col]
        inner, rest_cb, rest_cr = np.full(m, 64 // k, np.int32), 64 * cb, 64 * cr
        if self.cell == 2:
            taps = ring[:, TAPS]
            weight = np.where((taps > 0) & (taps != self.alien), self.p.vertical_tap, 0)
            inner = 16 - weight.sum(axis=1, dtype=np.int32) // 4
            rest_cb = rest_cb - (weight * self.tints[taps, 0]).sum(axis=1)
            rest_cr = rest_cr - (weight * self.tints[taps, 1]).sum(axis=1)
        pixels = np.stack([self.y[top + i // self.cell, left + i % self.cell] for i in range(k)], axis=1)
        slots = (np.zeros((m, CANDIDATES + 1), np.int32) for _ in range(3))
        labels, tint_cb, tint_cr = slots
        return _Cells(
            pixels=pixels, ring=ring, cb=cb, cr=cr, inner=inner, rest_cb=rest_cb, rest_cr=rest_cr,
            labels=labels, count=np.zeros(m, np.int32), cost=np.zeros((m, k, CANDIDATES + 1), np.int32),
            tint_cb=tint_cb, tint_cr=tint_cr,
            energy=np.full(m, NO_ENERGY, np.int32), solution=np.zeros((m, k), np.int32),
        )  # fmt: skip

    def gather(self, cells: _Cells, seen: Ints) -> None:
        """List the candidates: the anchors around, then whatever the ring holds by now."""
        for label in (*seen.T, *cells.ring[:, :12].T):
            known = (cells.labels[:, :CANDIDATES] == label[:, None]).any(axis=1) | (label == 0)
            new = np.flatnonzero(~known & (cells.count < CANDIDATES))
            self.enter(cells, new, cells.count[new], label[new])
            cells.count[new] += 1

    def enter(self, cells: _Cells, which: NDArray[Any], slot: Any, label: Any) -> None:
        """Put a candidate into a slot: its luma cost, its neighbours that differ, and its chroma."""
        label = np.broadcast_to(np.asarray(label, np.int32), which.shape)
        cells.labels[which, slot] = label
        ring = cells.ring[which]
        differs = (ring > 0) & (ring != label[:, None])
        for k in range(cells.pixels.shape[1]):
            places = k if self.cell == 2 else 4
            straight, diagonal = differs[:, STRAIGHT[places]].sum(axis=1), differs[:, DIAGONAL[places]].sum(axis=1)
            price = straight * self.p.smooth + diagonal * self.p.smooth_diagonal
            cells.cost[which, k, slot] = self.luma_cost[label, cells.pixels[which, k]] + price
        foreign = label == self.alien
        cells.tint_cb[which, slot] = np.where(foreign, cells.cb[which], self.tints[label, 0])
        cells.tint_cr[which, slot] = np.where(foreign, cells.cr[which], self.tints[label, 1])

    def try_all(self, cells: _Cells, count: Ints, extra: Ints) -> None:
        """Try all ways to give the pixels of a cell its first `count` candidates; keep the first of the cheapest."""
        for candidates in range(1, CANDIDATES + 1):
            which = np.flatnonzero(count == candidates)
            if not len(which):
                continue
            some = cells.take(which)
            ways = np.indices((candidates,) * some.pixels.shape[1]).reshape(some.pixels.shape[1], -1)  # (k, ways)
            total = np.repeat(extra[which, None], ways.shape[1], axis=1)
            sum_cb, sum_cr = np.zeros_like(total), np.zeros_like(total)
            for k, way in enumerate(ways):
                total += some.cost[:, k, way]
                sum_cb += some.tint_cb[:, way]
                sum_cr += some.tint_cr[:, way]
            if self.cell == 2:
                a, b, c, d = ways
                straight = (a != b).astype(np.int32) + (c != d) + (a != c) + (b != d)
                diagonal = (a != d).astype(np.int32) + (b != c)
                total += straight * self.p.smooth + diagonal * self.p.smooth_diagonal
            inner = some.inner[:, None]
            total += self.tinge(some.rest_cb[:, None] - inner * sum_cb, some.rest_cr[:, None] - inner * sum_cr)
            best = total.argmin(axis=1)
            energy = total[np.arange(len(which)), best]
            better = energy < some.energy
            cells.energy[which[better]] = energy[better]
            chosen = np.take_along_axis(some.labels, ways.T[best], axis=1)
            cells.solution[which[better]] = chosen[better]

    def tinge(self, residual_cb: Ints, residual_cr: Ints) -> Ints:
        """The price of chroma residuals given in 64ths of a level."""
        step_cb = np.minimum(np.abs(residual_cb) >> 4, CHROMA_STEPS - 1)
        step_cr = np.minimum(np.abs(residual_cr) >> 4, CHROMA_STEPS - 1)
        price: Ints = np.minimum(self.chroma_cost[step_cb] + self.chroma_cost[step_cr], self.p.chroma_cap)
        return price

    def try_newcomers(self, cells: _Cells) -> None:
        """Try labels that nobody around has, each at a price; luma alone rules most of them out."""
        dear = np.flatnonzero(cells.energy > self.p.new_label)
        free = np.arange(cells.cost.shape[2])[None, None, :] >= cells.count[:, None, None]
        cheapest = np.where(free, NO_ENERGY, cells.cost).min(axis=2)
        kept = np.minimum(cells.count, 2)
        for label in range(1, self.n + 1):
            known = (cells.labels[dear, :CANDIDATES] == label).any(axis=1)
            best = np.minimum(cheapest[dear], self.luma_cost[label, cells.pixels[dear]])
            bound = self.newcomer[label] + best.sum(axis=1)
            which = dear[~known & (bound < cells.energy[dear])]
            if not len(which):
                continue
            trial = cells.take(which)
            self.enter(trial, np.arange(len(which)), kept[which], label)
            self.try_all(trial, kept[which] + 1, np.full(len(which), self.newcomer[label], np.int32))
            cells.energy[which], cells.solution[which] = trial.energy, trial.solution

    def finish(self, exact: NDArray[np.bool_], height: int, width: int) -> tuple[Bytes, NDArray[np.int64]]:
        """The positions, cut to size, and the count of pixels by the step that settled them."""
        positions = np.where(self.labels == self.alien, 0, self.labels)[2:-2, 2:-2][:height, :width].astype(np.uint8)
        settled = (self.anchors > 0) & (self.anchors != self.alien)
        as_exact = int(self.spread(settled & exact)[:height, :width].sum())
        as_near = int(self.spread(settled & ~exact)[:height, :width].sum())
        void = int((positions == 0).sum())
        counts = [as_exact, as_near, positions.size - as_exact - as_near - void, void]
        return np.ascontiguousarray(positions), np.array(counts, np.int64)


def _averaged(total: int, n: int, share: int, before: int, p: RepairParameters) -> int:
    variance = (total * share // 16 + before * SOUND_PRIOR) // (n + SOUND_PRIOR)
    return min(max(variance, p.variance_least), p.variance_most)
