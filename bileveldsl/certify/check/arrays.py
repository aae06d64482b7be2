"""Claims about models over arrays: convexity by composition, bounds of the Hessian from those of its terms.

A term sum_e c_e phi(a_e'y + b_e) with c_e phi'' between two numbers has a Hessian between these times A'A. The least
and greatest eigenvalues of A'A that a claim needs are said by its proof, and proved here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from flint import arb, fmpq

from bileveldsl.certify.check.array_bounds import FormSpectrum, Listed, Spectrum, read_hints
from bileveldsl.certify.check.array_curvature import ArrayCurvature, Moving
from bileveldsl.certify.check.array_maps import Maps, TooLarge
from bileveldsl.certify.check.array_model import Model, Node
from bileveldsl.certify.check.array_pieces import Piece, Pieces
from bileveldsl.certify.check.array_points import bounds, require_curvature
from bileveldsl.certify.check.array_ranges import ArrayRanges, Field, hull
from bileveldsl.certify.check.array_reading import Data, read
from bileveldsl.certify.check.array_spectra import of_form
from bileveldsl.certify.check.claims import Claim, read_claim
from bileveldsl.certify.check.goals import kind_name
from bileveldsl.certify.check.ranges import INF, ZERO, End, Range, at_most, number
from bileveldsl.certify.check.reading import bound, one_of, record, sequence
from bileveldsl.certify.check.terms import Rejected

_SECONDS = 20
CURVATURE, KERNEL = "array-curvature", "kernel"
_CONSTRAINTS = ("constraints", "affine-equality")  # what is said of constraints where each is judged by composition


class Claims:
    """The claims about one statement; what is read and proved for one of them serves the others too.

    Calling this with a claim, as it is written, returns if its proofs show it, and else raises Rejected.

    Parameters
    ----------
    statement
        What the caller made from the model.
    data
        Shapes and little-endian bytes of the arrays that the statement names by their digests.
    """

    def __init__(self, statement: Any, data: Data):
        with _as_rejected():
            self._model = read(statement, data)
        self._judges: dict[str, Judge] = {}

    def __call__(self, claim: Any) -> None:
        with _as_rejected():
            self._check(claim)

    def _check(self, data: Any) -> None:
        claim = read_claim(data)
        if claim.sigma is not None:
            raise Rejected("of models over arrays nothing is proved of a penalty function")
        if claim.of not in self._model.functions:
            kind = one_of(kind_name(claim.proof), ("composition", *_CONSTRAINTS))
            record(claim.proof, {"kind"})
            if claim.fact != "convex" or not claim.proved:
                raise Rejected(f"of constraints only convexity is proved, by {kind}")
            _check_constraints(self._model, claim.of, claim.y == "all")
            return
        if claim.proved:
            self._proved(claim)
        else:
            self._refuted(claim)
        if claim.constant_upper is not None:
            self._other_side(claim, claim.constant_upper)

    def _proved(self, claim: Claim) -> None:
        proof = record(claim.proof, {"kind"}, {"spectra", "seconds", "forms"})
        kind = one_of(proof["kind"], ("composition", "structure", "strong"))
        judge = self._judge(claim.of)
        if claim.y == "all" or claim.fact == "pl":
            judge.require_everywhere()
        judge.hint(*(proof.get(name, []) for name in ("spectra", "seconds", "forms")))
        if claim.fact == "convex" and kind == "composition":
            judge.require_convex()
        elif claim.fact == "pl" and kind == "structure":
            judge.require_pl(claim.constant or ZERO)
        elif kind != ("strong" if claim.fact == "pl" else "structure"):
            raise Rejected("this kind of proof says nothing of the claim")
        elif claim.x == "pointwise":
            judge.require_positive()
        elif claim.fact == "smooth":
            judge.require_bounds(-(claim.constant or ZERO), claim.constant or ZERO)
        else:
            judge.require_bounds(claim.constant or ZERO, INF)

    def _refuted(self, claim: Claim) -> None:
        kind = kind_name(claim.proof)
        if claim.y == "all":
            self._judge(claim.of).require_everywhere()
        if kind == KERNEL and claim.fact == "strongly_convex":
            record(claim.proof, {"kind"})
            self._judge(claim.of).require_kernel()
        elif kind != CURVATURE or claim.fact not in ("convex", "strongly_convex"):
            raise Rejected("this kind of proof refutes nothing of the claim")
        else:
            strict = claim.fact == "convex"
            self._require_curvature(claim.of, claim.proof, lambda c: bool(c < 0 if strict else c <= 0))

    def _other_side(self, claim: Claim, constant: fmpq) -> None:
        """No mu is greater than the constant, or no L less: the curvature along a direction says so."""
        if kind_name(claim.proof_upper) != CURVATURE or claim.fact not in ("strongly_convex", "smooth"):
            raise Rejected("this kind of proof says nothing of the other side")
        below = claim.fact == "strongly_convex"
        self._require_curvature(
            claim.of, claim.proof_upper, lambda c: bool(c <= constant if below else abs(c) >= constant)
        )

    def _require_curvature(self, of: str, proof: Any, holds: Callable[[arb], bool]) -> None:
        level = of.removesuffix(".objective")
        require_curvature(self._model, own_symbols(self._model, level), level, self._model.functions[of], proof, holds)

    def _judge(self, of: str) -> Judge:
        if of not in self._judges:
            self._judges[of] = Judge(self._model, of.removesuffix(".objective"), self._model.functions[of])
        return self._judges[of]


@contextmanager
def _as_rejected() -> Iterator[None]:
    """What a hostile certificate makes of Python's own errors."""
    try:
        yield
    except (ArithmeticError, AttributeError, LookupError, MemoryError, RecursionError, TypeError, ValueError) as error:
        raise Rejected(f"the certificate is not as it must be: {type(error).__name__}") from error


def _check_constraints(model: Model, of: str, everywhere: bool) -> None:
    """That the constraints with a label are convex, or all those of a level, none of whose variables is integer."""
    level = of.removesuffix(".feasible_set")
    chosen = [c for c in model.constraints if c.label == of]
    if not chosen:
        if level == of or not any(s.level == level for s in model.symbols):
            raise Rejected("there is no function of this name")
        if any(s.level == level and s.integer for s in model.symbols):
            raise Rejected("a set of integers is not convex")
        chosen = [c for c in model.constraints if c.level == level]
    for c in chosen:
        judge = Judge(model, c.level, c.node)
        if everywhere:
            judge.require_everywhere()
        judge.require_convex(affine=c.relation == "== 0")


def own_symbols(model: Model, level: str) -> list[int]:
    """The variables in which the functions of a level are judged: its own, and for the leader all."""
    found = [k for k, s in enumerate(model.symbols) if not s.is_data and (s.level == level or level == "upper")]
    if not found:
        raise Rejected("the level has no variables")
    return found


class Judge:
    """One node of a model in the variables of a level, on the region of a claim."""

    def __init__(self, model: Model, level: str, node: int):
        self.model = model
        self.own = own_symbols(model, level)
        self.level = level
        below = _below(model, node)
        self.ranges = ArrayRanges(model, [c for c in model.conditions if c[0] in below])
        self.curvature = ArrayCurvature(model, self.ranges, Moving(model, self.own))
        self.maps = Maps(model, self.ranges, self.curvature.moves)
        self._hints: list[Mapping[str, fmpq]] = []
        self._form_hints: list[Mapping[str, fmpq]] = []
        self._spectra: dict[int, Spectrum] = {}
        self._forms: dict[int, FormSpectrum] = {}
        self._suggested: tuple[tuple[End, End], ...] = ()
        self._known: dict[tuple[tuple[End, End], ...], list[Piece]] = {}
        self.curvature.require_convex_region()
        self.root = model.scalar[node]
        if not self.ranges(self.root).defined:
            raise Rejected("the function may not be defined on all of the region")

    @property
    def _pieces(self) -> list[Piece]:
        if self._suggested not in self._known:
            pieces = Pieces(self.model, self.ranges, self.curvature, self._suggested)
            self._known[self._suggested] = pieces(self.root)
        return self._known[self._suggested]

    def require_everywhere(self) -> None:
        """Rejects unless the variables of the level may take all values."""
        for k in self.own:
            symbol = self.model.symbols[k]
            if symbol.integer or any(b != -INF for b in symbol.lower) or any(b != INF for b in symbol.upper):
                raise Rejected("the variables do not take all values")
        if any(self.curvature.moves(self.model.scalar[node]) for node, _ in self.ranges.conditions):
            raise Rejected("the function is not defined for all values")

    def hint(self, spectra: Any, seconds: Any, forms: Any) -> None:
        """Takes what a proof says of the spectra of matrices and of the ranges of second derivatives."""
        pairs = [sequence(pair, 2) for pair in sequence(seconds, _SECONDS)]
        self._suggested = tuple((bound(low), bound(high)) for low, high in pairs)
        self._hints, self._form_hints = read_hints(spectra), read_hints(forms)

    # ---- what is claimed ----

    def require_convex(self, affine: bool = False) -> None:
        found = self.curvature(self.root)
        if not (found.affine if affine else found.convex):
            raise Rejected(f"the rules of composition do not show the function {'affine' if affine else 'convex'}")

    def require_bounds(self, least: fmpq, greatest: Any) -> None:
        """Rejects unless least I <= Hessian <= greatest I."""
        for ranges in self._bounds(greatest != INF).values():
            if not all(at_most(least, r.lo) and at_most(r.hi, greatest) for r in ranges):
                raise Rejected("the bounds of the terms do not add up to what is claimed")

    def require_positive(self) -> None:
        """Rejects unless for all values of the other variables the Hessian is at least a positive number times I."""
        for ranges in self._bounds(False).values():
            if not hull(ranges).positive:
                raise Rejected("a bound of the Hessian is not shown to be positive")

    def require_pl(self, mu: fmpq) -> None:
        """Rejects unless root = h(A y), h strongly convex, and the least nonzero eigenvalue of A'A is large enough."""
        inner: set[Any] = {piece.inner for piece in self._pieces}
        if len(inner) != 1 or None in inner:
            raise Rejected("the function is not seen to be one of a single affine expression")
        alpha = fmpq(0)
        for piece in self._pieces:
            low = piece.bend(self.ranges).whole.lo
            if low == -INF:
                raise Rejected("a term may bend down without bound")
            alpha += low
        spectrum = self._spectrum(inner.pop())
        if alpha <= 0 or alpha * spectrum.least(nonzero=True) < mu:
            raise Rejected("the bounds of the terms do not add up to what is claimed")

    def require_kernel(self) -> None:
        """Rejects unless root = h(A y) with fewer rows of A than elements of y: along some line it does not vary."""
        model = self.model
        count = sum(model.size(model.labels_of(each)) for each in self._inner())
        if count >= sum(math.prod(model.symbols[k].sizes) for k in self.own):
            raise Rejected("the function is not seen to be one of fewer numbers than its variables have elements")
        for k in self.own:
            if any(low == high for low, high in bounds(model.symbols[k])):
                raise Rejected("the bounds of a variable leave it no room")
        others = [c.node for c in model.constraints if c.level == self.level] + [n for n, _ in self.ranges.conditions]
        if any(self.curvature.moves(model.scalar[node]) for node in others):
            raise Rejected("constraints or the domain restrict the variables")

    def _inner(self) -> set[int]:
        """Affine nodes of the table such that the root varies only with them."""
        model, found, seen, stack = self.model, set(), {self.root}, [self.root]
        while stack:
            each = stack.pop()
            if not self.curvature.moves(each):
                continue
            if self.curvature(each).affine:
                found.add(each)
                continue
            inside = model.table.arguments[each]
            if model.table.operation[each] == "var":
                inside = tuple(model.scalar[c] for c in model.nodes[model.table.value[each]].children)
            stack += set(inside) - seen
            seen |= set(inside)
        return found

    # ---- bounds of the Hessian ----

    def _bounds(self, above: bool) -> dict[int, list[Range]]:
        """Ranges for each variable of the level, diagonal bounds of the Hessian; upper ends only if `above`."""
        sums: dict[int, Field] = {}
        names = {k: self._labels(k) for k in self.own}
        for piece in self._pieces:
            for symbol, field in self._of_piece(piece, names, above).items():
                sums[symbol] = self._sum(sums[symbol], field) if symbol in sums else field
        none = Field((), [number(0)])
        return {k: list(sums.get(k, none).values) for k in self.own}

    def _labels(self, symbol: int) -> tuple[int, ...]:
        leaf = next((n for n in self.model.nodes if n.kind == "leaf" and n.symbol == symbol), None)
        return tuple(self.model.fresh(leaf.labels).values()) if leaf is not None else ()

    def _sum(self, a: Field, b: Field) -> Field:
        labels, (left, right) = self.ranges.together([a, b])
        return Field(labels, [p + q for p, q in zip(left, right, strict=True)])

    def _of_piece(self, piece: Piece, names: Mapping[int, tuple[int, ...]], above: bool) -> dict[int, Field]:
        bend = piece.bend(self.ranges)
        if piece.form is not None:
            matrix, symbol = piece.form
            spectrum = self._form(matrix)
            upper = spectrum.greatest() if above or not bend.whole.nonnegative else INF
            return {symbol: Field((), [bend.whole * Range(spectrum.least(), upper)])}
        if piece.inner is None:
            return {k: Field((), [bend.whole]) for k in self.own}
        separable = self._separable(piece.inner, bend, names)
        if separable is not None:
            return separable
        weight = bend.whole
        lo, hi = self._times(weight.lo, piece.inner, False), self._times(weight.hi, piece.inner, True) if above else INF
        field = Field((), [Range(lo, hi, weight.positive and self._spectrum(piece.inner).least() > 0)])
        return {t.symbol: field for t in self.maps.terms(piece.inner)}

    def _times(self, weight: End, inner: int, upper: bool) -> End:
        """A bound of a number times any eigenvalue of A'A, which 0 needs none of."""
        if weight == 0:
            return ZERO
        spectrum = self._spectrum(inner)
        side = spectrum.greatest() if (weight > 0) == upper else spectrum.least()
        found = Range(weight, weight) * Range(side, side)
        return found.hi if upper else found.lo

    def _separable(self, inner: int, bend: Field, names: Mapping[int, tuple[int, ...]]) -> dict[int, Field] | None:
        """Where each element of the affine node is one element of one variable."""
        model, table = self.model, self.model.table
        if table.operation[inner] != "var":
            return None
        node = model.nodes[table.value[inner]]
        leaf = model.nodes[node.children[0]] if node.kind == "select" else node
        if leaf.kind != "leaf":
            return None
        if node.kind == "select":
            targets = [label for label, _ in node.at]
            rest = tuple(a for a in leaf.labels if a not in targets)
            bend = self.ranges.scattered(bend, Node("scatter", (), (*rest, *targets), at=node.at, along=node.along))
        own = dict(zip(leaf.labels, names[leaf.symbol], strict=True))
        return {leaf.symbol: Field(tuple(own[a] for a in bend.labels), bend.values)}

    def _form(self, symbol: int) -> FormSpectrum:
        """Of K + K' for an array of data."""
        if symbol not in self._forms:
            data = self.model.symbols[symbol]
            self._forms[symbol] = FormSpectrum(of_form(data.values or (), data.sizes[0]))
        found = self._forms[symbol]
        found.hint = next((h for h in self._form_hints if found.is_meant(h)), {})
        return found

    def _spectrum(self, inner: int) -> Spectrum:
        """Of the matrix of an affine node, with what the proof says of it."""
        if inner not in self._spectra:
            try:
                self._spectra[inner] = Spectrum(*self.maps.matrix(inner))
            except TooLarge:
                self._spectra[inner] = Listed(self.maps.norm_above(inner))
        found = self._spectra[inner]
        found.hint = next((h for h in self._hints if found.is_meant(h)), {})
        return found


def _below(model: Model, node: int) -> set[int]:
    """The nodes that a node is made of, itself included."""
    seen, stack = {node}, [node]
    while stack:
        fresh = set(model.nodes[stack.pop()].children) - seen
        seen |= fresh
        stack += fresh
    return seen
