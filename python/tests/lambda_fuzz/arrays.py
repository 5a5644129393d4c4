"""Random functions of NumPy batches."""

from __future__ import annotations

import random

from lambda_fuzz.grammar import Writer, templates
from lambda_fuzz.program import Program, is_python

_INTS = {
    "core": """
        (<ints> + <ints>)  (<ints> - <ints>)  (<ints> * <ints>)  (<ints> // <ints>)
        (<ints> % <ints>)  (<ints> & <ints>)  (<ints> | <ints>)  (<ints> ^ <ints>)
        (<ints> + <number>)  (<ints> - <number>)  (<ints> * <number>)  (<ints> // <number>)
        (<ints> % <number>)  (<ints> ** 2)  (-<ints>)  (~<ints>)  (<number> - <ints>)
        (<ints> + <bools>)  (+<ints>)  (<bools> * <number>)
    """,
    "numpy": """
        np.where(<bools>, <ints>, <ints>)  np.where(<bools>, <ints>, <number>)
        np.where(<bools>, <number>, <number>)  np.abs(<ints>)  np.clip(<ints>, -5, 10)
        <ints>.clip(0, 3)  np.maximum(<ints>, <ints>)  np.minimum(<ints>, <number>)
        np.clip(<ints>, None, <number>)  np.square(<ints>)  np.clip(<ints>, <ints>, <ints>)
        np.clip(<ints>, 5, 1)  abs(<ints>)
    """,
    "casts": """
        <floats>.astype(np.int64)  <bools>.astype(int)  <floats>.astype("int64")
        <bools>.astype(np.int64)  <ints>.astype(int)  <ints>.astype(np.int64, copy=False)
    """,
    "rare": """
        (<ints> << <number>)  (<ints> >> <number>)  (<ints> << <ints>)  (<ints> ** <number>)
        <ints>.clip(min=0)  np.sign(<ints>)  np.floor_divide(<ints>, <number>)
        np.mod(<ints>, <ints>)  np.add(<ints>, <ints>)  np.bitwise_and(<ints>, <ints>)
        np.negative(<ints>)  <others>.astype(np.int64)  np.int64(<floats>)  (<ints> ** <ints>)
        <floats>.astype(dtype=int)  np.cumsum(<ints>)  np.sort(<ints>)  <ints>[::-1]
        (<ints> - <ints>.min())  np.zeros(len(<ints>), dtype=int)  np.arange(len(<ints>))
    """,
}
_FLOATS = {
    "core": """
        (<floats> + <floats>)  (<floats> - <floats>)  (<floats> * <floats>)  (<floats> / <floats>)
        (<floats> // <floats>)  (<floats> % <floats>)  (<floats> + <scalar>)  (<floats> - <scalar>)
        (<floats> * <scalar>)  (<floats> / <scalar>)  (<floats> // <scalar>)  (<floats> % <scalar>)
        (<ints> / <ints>)  (<ints> / <number>)  (<ints> * <floats>)  (-<floats>)  (<floats> ** 2)
        (<scalar> / <floats>)  (<ints> * <scalar>)  (<bools> * <floats>)  (<number> / <ints>)
        (<scalar> - <ints>)  (<bools> / <ints>)  (<floats> ** 2.0)
    """,
    "numpy": """
        np.where(<bools>, <floats>, <floats>)  np.where(<bools>, <floats>, <scalar>)
        np.where(<bools>, <ints>, <floats>)  np.where(<bools>, <scalar>, <number>)
        np.sqrt(<floats>)  np.sqrt(<ints>)  np.abs(<floats>)  np.clip(<floats>, 0, 1)
        <floats>.clip(-1.5, 2)  np.maximum(<floats>, <floats>)  np.minimum(<floats>, <scalar>)
        np.floor(<floats>)  np.ceil(<floats>)  np.rint(<floats>)  np.trunc(<floats>)
        np.clip(<ints>, 0.5, 2.5)  np.clip(<floats>, None, <number>)  np.square(<floats>)
        np.sqrt(np.abs(<floats>))  np.where(<bools>, np.nan, <floats>)
        np.clip(<floats>, np.nan, 1)  np.clip(<floats>, 2, -2)  np.maximum(<floats>, 0)
        (<floats> ** 0.5)  (<ints> ** 0.5)
    """,
    "casts": """
        <ints>.astype(np.float64)  <ints>.astype(float)  <bools>.astype("float64")
        <floats>.astype(float)  <floats>.astype("f8")
    """,
    "rare": """
        (<floats> ** 3)  (<bools> ** 0.5)  (<floats> ** -1)  np.sign(<floats>)
        np.fmax(<floats>, 0)  <floats>.round(1)  np.fabs(<ints>)  np.reciprocal(<floats>)
        np.copysign(<floats>, <floats>)  np.exp(<floats>)  np.log1p(<floats>)
        np.nan_to_num(<floats>)  np.cbrt(<floats>)  np.multiply(<floats>, 2)
        np.true_divide(<ints>, 2)  np.round(<floats>)  np.hypot(<floats>, 3)  np.sqrt(<bools>)
        <others>.astype(np.float64)  <others>.astype(float)  (<floats> / <floats>.sum())
        np.mean(<floats>)  np.floor(<ints>)  (<floats> - np.max(<floats>))
    """,
}
_COMPARE = ("<", "<=", "==", "!=", ">", ">=")
_BOOLS = {
    "core": "  ".join(
        f"(<{left}> {op} <{right}>)"
        for left, right in [
            ("ints", "ints"),
            ("ints", "number"),
            ("floats", "floats"),
            ("floats", "scalar"),
        ]
        for op in _COMPARE
    )
    + """
        (<bools> & <bools>)  (<bools> | <bools>)  (<bools> ^ <bools>)  (~<bools>)
        (<ints> < <floats>)  (<bools> == <bools>)  (<ints> > <scalar>)  (<bools> == True)
        (<number> < <ints>)
    """,
    "numpy": """
        np.isnan(<floats>)  np.isfinite(<floats>)  np.isinf(<floats>)  np.isnan(<ints>)
        np.logical_and(<bools>, <bools>)  np.logical_or(<bools>, <bools>)
        np.logical_not(<bools>)  np.where(<bools>, <bools>, <bools>)
    """,
    "casts": "<ints>.astype(bool)  <floats>.astype(np.bool_)  <bools>.astype(bool)",
    "mixed": "  ".join(f"(<others> {op} <others>)" for op in _COMPARE) + "  (<others> > <number>)",
    "rare": """
        (<bools> + <bools>)  (<bools> * <bools>)  (<bools> - <bools>)  (-<bools>)
        np.logical_or(<bools>, <ints>)  np.signbit(<floats>)  np.isin(<ints>, [1, 2])
        np.greater(<floats>, 0)  np.equal(<ints>, 1)  <others>.astype("bool")
        (<bools> and <bools>)  (not <bools>)  (<ints> < <ints> < <ints>)  <bools>.any()
        (<ints> in (1, 2))  (<ints> is None)  (<ints> == None)
    """,
}
_OTHERS = {
    "casts": """
        <ints>.astype(np.int32)  <floats>.astype(np.float32)  <ints>.astype(np.uint8)
        <ints>.astype("int16")  <floats>.astype(np.int8)  <ints>.astype(np.uint64)
        <floats>.astype("f4")  <ints>.astype(np.float32)  <bools>.astype(np.uint8)
    """,
    "mixed": """
        (<others> + <others>)  (<others> - <others>)  (<others> * <others>)  (<others> / <others>)
        (<others> // <others>)  (<others> % <others>)  (<others> & <others>)  (<others> + <ints>)
        (<others> * <floats>)  (<others> - <number>)  (<others> * <scalar>)  (<others> / <number>)
        (-<others>)  (<bools> + <others>)  np.where(<bools>, <others>, <others>)
        np.where(<bools>, <others>, <number>)  np.sqrt(<others>)  np.abs(<others>)
        np.clip(<others>, 0, 10)  (<others> ** 2)  np.maximum(<others>, <others>)
        <others>.clip(1, 2)  (~<others>)  <others>  <others>.astype(np.float32)
        <others>.astype(np.uint32)  <others>.astype(np.int64)
    """,
}
_BY_KIND = {
    "ints": _INTS,
    "floats": _FLOATS,
    "bools": _BOOLS,
    "others": _OTHERS,
    "any": {"core": "<ints>  <floats>  <bools>", "mixed": "<others>", "casts": "<others>"},
}
GRAMMAR = {
    kind: {feature: templates(text) for feature, text in by_feature.items()}
    for kind, by_feature in _BY_KIND.items()
}
_LEAVES = {
    "ints": ['batch["a"]', 'batch["b"]', 'batch["a"]'],
    "floats": ['batch["f"]', 'batch["g"]', 'batch["f"]'],
    "bools": ['batch["p"]', 'batch["q"]', '(batch["a"] > 0)', '(batch["f"] < batch["g"])'],
    "others": ['batch["m"]', 'batch["n"]'],
    "any": ['batch["a"]', 'batch["f"]', 'batch["p"]', 'batch["s"]', 'batch["m"]'],
    "number": ["0", "1", "2", "3", "-1", "-7", "10", "63", "64", "300", "K", "True"],
    "scalar": ["0.5", "2.0", "-1.5", "0.0", "F", "np.pi", "3", "1e300", "0.1"],
}
FAMILIES = {
    "core": {},
    "numpy": {"numpy": 2.0},
    "casts": {"casts": 1.5},
    "mixed": {"mixed": 2.0, "casts": 0.7, "numpy": 0.3},
    "masks": {"numpy": 0.3},
    "dicts": {},
}
_PRELUDE = "import numpy as np\n\nK = 5\nF = -0.5\n"


def array_program(rng: random.Random, family: str) -> Program:
    """A random function of NumPy batches that has to do with a family of features."""
    while not is_python(program := _Function(rng, family).program()):
        pass
    return program


class _Function:
    """Writes one function."""

    def __init__(self, rng: random.Random, family: str) -> None:
        self._rng, self._family = rng, family
        self._writer = Writer(
            rng, GRAMMAR, _LEAVES, {"core": 1.0, "rare": 0.03, **FAMILIES[family]}
        )
        self._depth = rng.choice([1, 1, 2, 3])
        self._variables: list[str] = []

    def program(self) -> Program:
        rng = self._rng
        if self._family == "masks" and rng.random() < 0.8:
            lines = self._masked()
        elif rng.random() < 0.5:
            return Program("map_batches", f"{_PRELUDE}fn = lambda batch: {self._dict()}\n")
        else:
            lines = self._body()
        return Program("map_batches", f"{_PRELUDE}def fn(batch):\n" + "\n".join(lines) + "\n")

    def _array(self) -> str:
        return self._writer.write("any", self._depth + 1)

    def _items(self) -> list[tuple[str, str]]:
        names = self._rng.sample(["x", "y", "a", "s"], self._rng.randint(1, 3))
        return [
            *((name, name) for name in self._variables),
            *((name, self._array()) for name in names),
        ]

    def _dict(self) -> str:
        pairs = ", ".join(f'"{name}": {value}' for name, value in self._items())
        forms = [f"{{{pairs}}}", f"{{{pairs}}}", f"{{**batch, {pairs}}}"]
        if self._family == "dicts":
            forms += [f"dict(batch, z={self._array()})", f"batch | {{{pairs}}}"]
        return self._rng.choice(forms)

    def _body(self) -> list[str]:
        rng, writer = self._rng, self._writer
        kind = rng.choice(["ints", "floats", "bools"])
        lines = [f"    v = {writer.write(kind, self._depth)}"]
        change = rng.random()
        if change < 0.05 and kind != "bools":
            lines.append(f"    v {rng.choice(['+=', '*=', '-='])} {writer.write(kind, 1)}")
        elif change < 0.08:
            lines += ["    w = v", "    w += 1"]
        elif change < 0.1:
            lines.append(f"    v[{writer.write('bools', 1)}] = 0")
        writer.add_leaf(kind, "v")
        self._variables = ["v"] if rng.random() < 0.8 else []
        if rng.random() < 0.5:
            return [*lines, f"    return {self._dict()}"]
        starts = ["batch", "batch", "{}", "{**batch}"]
        if self._family == "dicts":
            starts += ["dict(batch)", "batch.copy()"]
        start = rng.choice(starts)
        sets = [f'    out["{name}"] = {value}' for name, value in self._items()]
        return [
            *lines,
            f"    out = {start}",
            *sets,
            f"    return {rng.choice(['out', 'out', 'batch'])}",
        ]

    def _masked(self) -> list[str]:
        """Rows that a mask keeps, of all columns or of some."""
        rng, writer = self._rng, self._writer
        lines = [f"    m = {writer.write('bools', self._depth)}"]
        names = rng.sample(["a", "f", "p", "s", "m"], rng.randint(1, 3))
        pairs = [f'"{name}": batch["{name}"][m]' for name in names]
        if rng.random() < 0.4:
            pairs.append(f'"x": {self._array()}[m]')
        if rng.random() < 0.2:
            pairs.append(f'"y": batch["a"][m] + {rng.choice(["1", "K", writer.write("ints", 0)])}')
        if rng.random() < 0.08:
            pairs.append('"z": batch["f"]')
        forms = [f"{{{', '.join(pairs)}}}", f"{{{', '.join(pairs)}}}"]
        if rng.random() < 0.1:
            forms = ["{k: v[m] for k, v in batch.items()}", "{k: batch[k][m] for k in batch}"]
        return [*lines, f"    return {rng.choice(forms)}"]
