"""The floating-point operations of a training, counted by hand.

Over the core's measured multiply-add peak they are a time that nothing can go below.
"""

from __future__ import annotations

from typing import NamedTuple

from longlag.networks.lstm import parameter_count

ACTIVATION = 26  # operations that a tanh or a sigmoid counts as


def operations(
    batch: int, steps: float, hidden: int, inputs: int = 2, outputs: int = 1, symbols: bool = False
) -> float:
    """Floating-point operations of one training iteration; a multiply-add is two.

    Counted for D inputs, H cells, K outputs at the last step, a tanh or a sigmoid as
    `ACTIVATION` = 26. A step of a sequence:

        forward   z = x Wx + h Wh + b    4H (H + D) multiply-adds (the sum starts at b)  8H (H + D)
                  i, f, o, g, tanh(c)    five activations                                    130 H
                  c = f c + i g          a product and a multiply-add                          3 H
                  h = o tanh(c)                                                                  H
        backward  dc += dh o (1 - tanh(c)²)   a product, two multiply-adds                     5 H
                  dz of i, f, o, g            two products, a multiply-add each               16 H
                  dc = dc f                                                                      H
                  dh = dz Wh'                 4H H multiply-adds                             8 H H
                  dWx += x dz, dWh += h dz    4H (H + D) multiply-adds                   8H (H + D)
                  db += dz                                                                     4 H

    in all 24 H² + (16 D + 160) H. Of symbols x Wx is a row of Wx, which may hold b already, and
    dWx += dz a sum, so that 4 H stands in place of 16 D H. A sequence adds K (4 H + 5) + H +
    2 H (K - 1): its answers and loss (2 H + 4 each) and, on the way back, the gradient of Wy and by
    (2 H + 1 each) and the first dh. A parameter adds 16 in the update: 2 for the norm, 1 for the
    clipping, 3 and 4 for the two moments, and 6 for the step (correct the second moment, root, sum,
    product with the rate, quotient, difference).

    Batch 32, T = 30 (31.5 steps on average) and H = 8 give 3.1 million for two numbers.
    """
    step = 24 * hidden**2 + (160 + (4 if symbols else 16 * inputs)) * hidden
    sequence = outputs * (4 * hidden + 5) + hidden + 2 * hidden * (outputs - 1)
    return batch * (steps * step + sequence) + 16 * parameter_count(hidden, inputs, outputs)


class Needs(NamedTuple):
    """The arithmetic of a step of one sequence, in instructions.

    products: multiply-adds, products and sums; sigmoids and tanhs: activations.
    """

    products: int
    sigmoids: int
    tanhs: int


def needs(hidden: int, inputs: int = 2, symbols: bool = False, back: bool = True) -> Needs:
    """What `operations` counts of a step, as instructions: a multiply-add is one.

    Forward 4H (H + D) and 3 H; back 4H (2 H + D + 1) and 16 H. A symbol's row begins the sum on
    the way forward, and takes 4 H sums on the way back.
    """
    forward = 4 * hidden * (hidden + (0 if symbols else inputs)) + 3 * hidden
    backward = 4 * hidden * (2 * hidden + (1 if symbols else inputs) + 1) + 16 * hidden
    return Needs(forward + (backward if back else 0), 3 * hidden, 2 * hidden)


def answer_operations(steps: float, hidden: int, inputs: int = 2) -> float:
    """Floating-point operations of answering one sequence at its last step, forward alone."""
    return steps * (8 * hidden * (hidden + inputs) + (5 * ACTIVATION + 4) * hidden) + 2 * hidden


def online_needs(
    blocks: int = 2, block_size: int = 2, symbols: bool = False, biases: bool = True
) -> Needs:
    """What `online_operations` counts, as instructions; every activation is a logistic one."""
    cells = blocks * block_size
    units = cells + 2 * blocks
    into_unit = units + (1 if symbols else 2) + biases
    products = (units + cells + blocks) * into_unit + 8 * cells + 2 * blocks
    return Needs(products, units + cells, 0)


def online_operations(
    blocks: int = 2, block_size: int = 2, symbols: bool = False, biases: bool = True
) -> int:
    """Floating-point operations of one step of one on-line trial; a multiply-add is two.

    For B blocks of S cells, C = B S cells and U = C + 2 B units, by the truncated gradient:

        forward   net = W v            U (U + 2) multiply-adds, a sum for the bias  U (2U + 5)
                  f of nets, h(s)      U + C activations                            26 (U + C)
                  g = 4 f - 2          a multiply-add                                      2 C
                  s = s + y_in g       a multiply-add                                      2 C
                  h = 2 f - 1          a multiply-add                                      2 C
                  y_c = y_out h        a product                                             C
        backward  d of a cell          two products, f - f² a multiply-add                 4 C
                  d of an input gate   a multiply-add for each of its cells                2 C
                                       y - y² a multiply-add, a product                    3 B
                  dW += d v'           U + 2 multiply-adds, a sum for the bias, for
                                       each cell and each input gate          (C + B)(2U + 5)

    Those are two inputs that are numbers. A symbol takes a sum in place of their multiply-adds, on
    either way, and a unit without a bias has none to add.

    The error of a state is the same at every step; it and what is linear in it alone (4 e for a
    cell, -2 Σ e for a gate) belong to a sequence, as the answer, the output gates' gradient and
    the update do: together less than a hundredth of 100 steps, and left out.

    The paper's 2 blocks of 2 cells give 168 + 312 + 28 and 16 + 14 + 126: 664.
    """
    cells = blocks * block_size
    units = cells + 2 * blocks
    into_unit = 2 * units + (1 if symbols else 4) + biases
    forward = units * into_unit + ACTIVATION * (units + cells) + 7 * cells
    return forward + 6 * cells + 3 * blocks + (cells + blocks) * into_unit
