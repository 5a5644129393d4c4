"""What expressions over rows are made of."""

from __future__ import annotations

KINDS = ("int", "float", "str", "bool")
_PLUS = ["+", "-", "*", "+", "-", "*", "//", "%"]

GRAMMAR = {
    "int": {
        "core": [
            *[f"(<int> {op} <int>)" for op in [*_PLUS, "&", "|", "^"]],
            *("(-<int>)", "(~<int>)", "(+<int>)", "(<int> ** <small>)", "(-<bool>)", "(+<bool>)"),
            *("(<bool> + <int>)", "(<bool> * <bool>)", "(<int> if <bool> else <int>)"),
            *("(<int> if <bool> else <int>)", "(<int> or <int>)", "(<int> and <int>)"),
        ],
        "shifts": ["(<int> << <small>)", "(<int> >> <small>)"],
        "builtins": [
            *("abs(<int>)", "abs(<bool>)", "min(<int>, <int>)", "max(<int>, <int>)"),
            *("min(<int>, <int>, <int>)", "max(<int>, <int>, <small>)", "round(<float>)"),
            *("round(<int>)", "round(<int>, <index>)", "int(<float>)", "int(<int>)"),
            *("int(<bool>)", "int(<digits>)", "int(<str>)", "len(<str>)", "min(<int>, <bool>)"),
            *("max(<bool>, <bool>)", "pow(<int>, <small>)", "sum((<int>, <int>))", "int()"),
            *("round(<float>, None)", "max(<int>, <int>, key=abs)", "max((<int>, <int>))"),
        ],
        "strings": [
            *(
                "len(<str>)",
                "len(<parts>)",
                "<parts>.count(<word>)",
                "len(<str>.split(<separator>))",
            ),
            *("<str>.find(<word>)", "<str>.count(<word>)", "ord(<str>[0])", "<str>.index(<word>)"),
            *(
                "len(<str>.split(<separator>, <small>))",
                "len(<str>.strip())",
                "<str>.rfind(<word>)",
            ),
        ],
        "math": [
            *("math.floor(<float>)", "math.ceil(<float>)", "math.trunc(<float>)"),
            *("math.floor(<int>)", "math.gcd(<int>, <int>)", "math.isqrt(<int>)"),
            *("math.factorial(<small>)", "math.comb(<small>, <small>)", "math.lcm(<int>, <small>)"),
        ],
        "dates": [
            *[f"<moment>.{part}" for part in ("year", "month", "day", "year", "month", "day")],
            *[f"<datetime>.{part}" for part in ("hour", "minute", "second", "microsecond")],
            *("<moment>.weekday()", "<moment>.isoweekday()", "<moment>.toordinal()"),
            *("<datetime>.date().day", "<datetime>.fold", "(<date> - <date>).days"),
        ],
        "helpers": ["h_int(<int>, <int>)", "h_int(<int>)", "h_int(y=<int>, x=<small>)"],
        "rows": ['row.get("a", <int>)', 'row.get("absent", <int>)', 'row.get("b")', "len(row)"],
    },
    "float": {
        "core": [
            *[f"(<float> {op} <float>)" for op in [*_PLUS, "/"]],
            *("(<int> / <int>)", "(<float> * <int>)", "(<int> - <float>)", "(-<float>)"),
            *("(<float> ** <small>)", "(<float> ** 0.5)", "(<int> ** 0.5)"),
            *("(<float> if <bool> else <float>)", "(<float> or <float>)", "(<float> and <float>)"),
            *("(<float> // <int>)", "(<int> % <float>)", "(<float> + <bool>)"),
        ],
        "builtins": [
            *("abs(<float>)", "min(<float>, <float>)", "max(<float>, <float>)", "float(<int>)"),
            *("float(<float>)", "float(<bool>)", "float(<digits>)", "float(<str>)"),
            *(
                "round(<float>, <index>)",
                "round(<float>, 2)",
                "max(<float>, <int>)",
                "float()",
                "(+<float>)",
            ),
            *("min(<int>, <float>)", "max(0.0, <float>)", "min(1.0, <float>, <float>)"),
            *("pow(<float>, 2)", "sum((<float>, <float>))", "round(<float>, ndigits=1)"),
        ],
        "math": [
            *[f"math.{name}(<float>)" for name in ("sqrt", "fabs", "exp", "log", "sin", "tanh")],
            *[f"math.{name}(<float>)" for name in ("log2", "log10", "log1p", "expm1", "cos")],
            *[f"math.{name}(<float>)" for name in ("degrees", "radians", "atan", "asin", "cbrt")],
            *("math.sqrt(<int>)", "math.log(<int>)", "math.log(<float>, 2)", "math.pi", "math.tau"),
            *("math.pow(<float>, <float>)", "math.pow(<int>, <small>)", "math.fmod(<float>, 3)"),
            *("math.hypot(<float>, <float>)", "math.atan2(<float>, <float>)", "math.e"),
            *("math.copysign(<float>, <float>)", "math.copysign(1.0, <float>)", "math.inf"),
            *(
                "(<int> ** -<small>)",
                "math.remainder(<float>, <float>)",
                "math.ldexp(<float>, <small>)",
                "math.nan",
            ),
        ],
        "dates": ["(<datetime> - <datetime>).total_seconds()", "<datetime>.timestamp()"],
        "helpers": ["h_float(<float>)", "h_float(<int>, scale=<float>)"],
        "rows": ['row.get("f", <float>)', 'row.get("absent", <float>)', 'row.get("g")'],
    },
    "str": {
        "core": [
            *("(<str> + <str>)", "(<str> + <word>)", "(<str> if <bool> else <str>)"),
            *("(<str> or <word>)", "(<str> and <str>)"),
        ],
        "builtins": [
            *("str(<int>)", "str(<float>)", "str(<bool>)", "str(<str>)", "min(<str>, <str>)"),
            *("max(<str>, <word>)", "str()", "repr(<str>)", "chr(<small>)"),
        ],
        "strings": [
            *("<str>.lower()", "<str>.upper()", "<str>.strip()", "<str>.lstrip()"),
            *("<str>.rstrip()", "<str>.strip(<word>)", "<str>.replace(<word>, <word>)"),
            *("<str>.lstrip(<word>)", "<str>.rstrip(<word>)", "<str>.replace(<str>, <str>)"),
            *("<str>.replace(<word>, <word>, <index>)", "<parts>[0]"),
            *(
                "<str>.split()[0]",
                "<parts>[<index>]",
                '"-".join(<parts>)',
                "<str>.split(<separator>, 1)[0]",
            ),
            *("<str>.lower().strip()", "<str>.title()", "<str>.capitalize()", "<str>.casefold()"),
            *(
                "<str>.swapcase()",
                "<str>.zfill(<small>)",
                "<str>.ljust(<small>)",
                "<str>.center(9)",
            ),
            *("<str>.removeprefix(<word>)", "<str>.removesuffix(<word>)", "<str>.rsplit(',')[0]"),
            *('",".join((<str>, <str>))', "<str>.partition(<separator>)[2]", "<str>.lower()"),
            *("<str>.upper()", "<str>.strip()", "<str>.split(None, 1)[0]", "(<str> * <small>)"),
        ],
        "slices": [
            *("<str>[<index>:]", "<str>[:<index>]", "<str>[<index>:<index>]", "<str>[::-1]"),
            *("<str>[<index>]", "<str>[::<index>]", "<str>[<index>:<index>:<index>]", "<str>[:]"),
            *("<str>[<int>]", "<str>[:<int>]", "<str>[<small>:<int>]", "<str>[-<small>:]"),
        ],
        "formats": [
            *(
                'f"""{<int>}"""',
                'f"""{<float>}"""',
                'f"""{<str>}"""',
                'f"""{<bool>}"""',
                'f"""<text>{<str>}<text>"""',
            ),
            *(
                'f"""{<int>}-{<str>}"""',
                'f"""{<float>:<float_spec>}"""',
                'f"""{<int>:<int_spec>}"""',
            ),
            *(
                'f"""{<str>:<str_spec>}"""',
                'f"""{<int>:<float_spec>}"""',
                'f"""{<bool>:<int_spec>}"""',
            ),
            *(
                'f"""{<str>!r}"""',
                'f"""{<float>!r}"""',
                'f"""{<str>!s:<str_spec>}"""',
                'f"""{<str>!a}"""',
            ),
            *(
                'f"""{<int>}{<float>}{<bool>}"""',
                'f"""{<bool>:<str_spec>}"""',
                'f"""{<float>:.<small>f}"""',
            ),
            *('"%s" % <str>', '"%d" % <int>', '"{}".format(<int>)', "format(<float>, '.2f')"),
        ],
        "dates": [
            *("<moment>.isoformat()", "str(<moment>)", 'f"""{<date>}"""', '<date>.strftime("%Y")'),
            'f"""{<moment>.year:04}-{<moment>.month:02}"""',
        ],
        "helpers": ["h_str(<str>)", "h_str(<str>, <str>)", "h_str(<str>, suffix=<word>)"],
        "rows": ['row.get("s", <str>)', 'row.get("absent", <word>)', 'row.get("t")'],
    },
    "bool": {
        "core": [
            *[f"(<int> {op} <int>)" for op in ("<", "<=", "==", "!=", ">", ">=")],
            *[f"(<float> {op} <float>)" for op in ("<", "<=", "==", "!=", ">", ">=")],
            *[f"(<str> {op} <str>)" for op in ("<", "<=", "==", "!=", ">", ">=")],
            *("(<bool> and <bool>)", "(<bool> or <bool>)", "(not <bool>)", "(not <any>)"),
            *("(<int> < <int> < <int>)", "(<float> <= <int> < <float>)", "(<int> != <float>)"),
            *("(<bool> == <bool>)", "(<bool> & <bool>)", "(<bool> | <bool>)", "(<bool> ^ <bool>)"),
            *("(<any> is None)", "(<any> is not None)", "(<int> == <bool>)", "(<any> == <any>)"),
            *(
                "(<bool> if <bool> else <bool>)",
                "(<str> in <str>)",
                "(<word> not in <str>)",
                "(not (<int> and <str>))",
                "(<int> == <int> != <float> < <float>)",
                "(<str> < <str> <= <str>)",
                "(<bool> is <bool>)",
                "(<bool> is True)",
            ),
        ],
        "constants": [
            *("(<int> in (1, 2, 3))", "(<int> not in (0, -1))", '(<str> in ("a", "b", ""))'),
            *("(<int> in {1, 2, 5})", '(<str> in {"a", "ab", "É"})', '(<str> not in ["a", "x"])'),
            *("(<float> in (0, 1.5))", "(<float> in {0.0, 2.5})", "(<int> in (1, True, 2.0))"),
            *(
                '(<any> in (None, 1, "a"))',
                "(<bool> in (True,))",
                "(<int> in CHOICES)",
                "(0 < <int> in (1, 2, 3))",
            ),
            *('(<any> in {None, 1, "a", 2.5})', "(<str> in WORDS)", "(<int> in ())"),
            *("(<int> in [<int>, 2])", "(<any> not in WORDS)"),
        ],
        "builtins": ["bool(<int>)", "bool(<float>)", "bool(<str>)", "bool(<bool>)", "bool()"],
        "strings": [
            *("<str>.startswith(<word>)", "<str>.endswith(<word>)", "<str>.startswith(<str>)"),
            *('<str>.startswith(("a", "b"))', '<str>.endswith(("c", ""))', "<str>.isdigit()"),
            *(
                "<str>.startswith(<word>, <index>)",
                "(<word> in <parts>)",
                "<str>.isupper()",
                "<str>.isspace()",
            ),
            *(
                "bool(<parts>)",
                "(<parts> == <parts>)",
                "<str>.isalpha()",
                "<str>.islower()",
                "<str>.isascii()",
            ),
        ],
        "math": [
            *("math.isnan(<float>)", "math.isinf(<float>)", "math.isfinite(<float>)"),
            *("math.isnan(<int>)", "math.isfinite(<int>)", "math.isclose(<float>, <float>)"),
        ],
        "dates": [
            *("(<datetime> < <datetime>)", "(<date> == <date>)", "(<date> >= <date>)"),
            *(
                "(<datetime> != <datetime>)",
                "(<moment> == <moment>)",
                "(<datetime>.year in (1970,))",
            ),
        ],
        "helpers": ["h_bool(<int>, <float>)", "h_bool(<int>)"],
        "rows": [
            'row.get("p", <bool>)',
            'row.get("absent", False)',
            '("a" in row)',
            '("no" in row)',
        ],
    },
    "any": {"core": ["<int>", "<float>", "<str>", "<bool>"]},
    "parts": {
        "strings": [
            *("<str>.split(<separator>)", "<str>.split()", "<str>.split(<separator>, <index>)"),
            *("<str>.split(None)", "<str>.rsplit(<separator>, 1)", "<str>.splitlines()"),
            *("<str>.split(sep=<separator>)", "(<parts> if <bool> else <parts>)"),
        ]
    },
    "moment": {"dates": ["<datetime>", "<date>"]},
    "datetime": {
        "dates": [
            *(
                "<datetime>",
                "(<datetime> if <bool> else <datetime>)",
                "min(<datetime>, <datetime>)",
            ),
            *("max(<datetime>, <datetime>)", "<datetime>.replace(microsecond=0)"),
        ]
    },
    "date": {
        "dates": [
            *("<datetime>.date()", "<date>", "(<date> if <bool> else <date>)"),
            *("max(<date>, <date>)", "<datetime>.date()", "<date>.replace(day=1)"),
        ]
    },
}

CONSTANTS = {
    "int": ["0", "1", "2", "-3", "7", "10", "K", "BIG", "2**63 - 1"],
    "float": ["0.5", "-1.5", "2.0", "0.1", "F", "1e16", "-0.0"],
    "str": ['"a"', '""', '"É"', "W", '"ab"'],
    "bool": ["True", "False"],
}
# Kinds that functions of a family return beside the common ones.
RETURNED = {"strings": ["parts"], "dates": ["datetime", "date"]}
WORDS = {
    "small": ["0", "1", "2", "3", "5"],
    "index": ["0", "1", "2", "-1", "-2", "3", "7", "-9", "100"],
    "word": ['"a"', '"b"', '""', '" "', '"ab"', '"é"', '"\\x00"', '"Σ"', '"X"', "W"],
    "separator": ['","', '" "', '"a"', '"ab"', "None", '"\\u0301"', '""', '"\\n"'],
    "digits": ['row["s"]', '"42"', '" -7_0 "', '"1e3"', '"0.1"', '"x"', '"٣"'],
    "text": ["", "", "x", "é ", "{{}}", ":"],
    "float_spec": [
        *(".2f", ".0f", ".3e", "g", ".3g", "f", "e", "%", ".1%", "+.1f", "10.2f", "<12", ">8.1f"),
        *(
            "08.2f",
            ",",
            ",.2f",
            "_.1f",
            "^10",
            "*^9.1f",
            "",
            "n",
            " .1f",
            "#.0f",
            "z.1f",
            "G",
            ".3",
        ),
    ],
    "int_spec": [
        *("d", "5d", "05d", "+d", ",", "_", "x", "X", "b", "o", "#x", "#010x", "<6", ">6", "^7"),
        *("*<8d", " d", "e", ".2f", "c", "=+6d", "_x", "", "n", "08,", "s", "03"),
    ],
    "str_spec": [
        "10",
        ">10",
        "<5",
        "^7",
        "*^9",
        ".2",
        "5.1",
        "",
        "s",
        "é>4",
        ">3s",
        "=5",
        "d",
        "05",
    ],
}

# Features of each family, and how often they are used beside the core.
FAMILIES = {
    "core": {},
    "constants": {"constants": 3.0},
    "builtins": {"builtins": 2.0},
    "strings": {"strings": 2.0},
    "slices": {"slices": 2.0},
    "formats": {"formats": 2.0},
    "math": {"math": 1.5},
    "dates": {"dates": 1.5},
    "helpers": {"helpers": 1.5},
    "rows": {"rows": 1.0},
    "mixed": dict.fromkeys(
        ["constants", "builtins", "strings", "slices", "formats", "math", "dates", "helpers"], 0.3
    ),
}
