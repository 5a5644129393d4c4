"""What expressions over rows are made of.

`rare` is what nobody promised to compile: it is there for the exceptions and the declines.
"""

from __future__ import annotations

from lambda_fuzz.grammar import templates

KINDS = ("int", "float", "str", "bool")

_INT = {
    "core": """
        (<int> + <int>)  (<int> - <int>)  (<int> * <int>)  (<int> + <int>)  (<int> - <int>)
        (<int> // <int>)  (<int> % <int>)  (<int> & <int>)  (<int> | <int>)  (<int> ^ <int>)
        (-<int>)  (~<int>)  (+<int>)  (<int> ** <small>)  (-<bool>)  (+<bool>)  (<bool> + <int>)
        (<bool> * <bool>)  (<int> if <bool> else <int>)  (<int> if <bool> else <int>)
        (<int> or <int>)  (<int> and <int>)
    """,
    "builtins": """
        abs(<int>)  abs(<bool>)  min(<int>, <int>)  max(<int>, <int>)  min(<int>, <int>, <int>)
        max(<int>, <int>, <small>)  round(<float>)  round(<int>)  int(<float>)  int(<int>)
        int(<bool>)  int(<digits>)  int(<str>)  len(<str>)  round(<float>, None)
        max((<int>, <int>))  round(<int>, 2)  int(<float> * 10)
    """,
    "strings": """
        len(<str>)  len(<parts>)  <str>.find(<word>)  <str>.count(<word>)  len(<str>.strip())
        len(<str>.split(<separator>))  len(<str>.split(<separator>, <small>))
    """,
    "math": """
        math.floor(<float>)  math.ceil(<float>)  math.trunc(<float>)  math.floor(<int>)
        math.gcd(<int>, <int>)
    """,
    "dates": """
        <moment>.year  <moment>.month  <moment>.day  <moment>.year  <moment>.month  <moment>.day
        <datetime>.hour  <datetime>.minute  <datetime>.second  <datetime>.microsecond
        <moment>.weekday()  <moment>.isoweekday()  <datetime>.date().day
    """,
    "helpers": "h_int(<int>, <int>)  h_int(<int>)  h_int(y=<int>, x=<small>)",
    "rows": """row.get("a", <int>)  row.get("absent", <int>)  row.get("b")  len(row)""",
    "rare": """
        (<int> << <small>)  (<int> >> <small>)  round(<int>, <index>)  min(<int>, <bool>)
        max(<bool>, <bool>)  pow(<int>, <small>)  sum((<int>, <int>))  int()
        max(<int>, <int>, key=abs)  ord(<str>[0])  <str>.index(<word>)  <str>.rfind(<word>)
        <parts>.count(<word>)  math.isqrt(<int>)  math.factorial(<small>)  <moment>.toordinal()
        math.comb(<small>, <small>)  math.lcm(<int>, <small>)  <datetime>.fold  <str>.month
        (<date> - <date>).days  int(<str>, 16)  (<int> @ <int>)  <int>.numerator  <float>.real
        min(<int>, default=<int>)  <int>.bit_length()  len(<int>)  int(<int>, <int>)
    """,
}
_FLOAT = {
    "core": """
        (<float> + <float>)  (<float> - <float>)  (<float> * <float>)  (<float> / <float>)
        (<float> // <float>)  (<float> % <float>)  (<int> / <int>)  (<float> * <int>)
        (<int> - <float>)  (-<float>)  (<float> ** <small>)  (<float> ** 0.5)  (<int> ** 0.5)
        (<float> if <bool> else <float>)  (<float> or <float>)  (<float> and <float>)
        (<float> // <int>)  (<int> % <float>)  (<float> + <bool>)  (<int> / <small>)
    """,
    "builtins": """
        abs(<float>)  min(<float>, <float>)  max(<float>, <float>)  float(<int>)  float(<float>)
        float(<bool>)  float(<digits>)  float(<str>)  round(<float>, 2)  max(0.0, <float>)
        min(1.0, <float>, <float>)  round(<float>, ndigits=1)  round(<float>, <small>)
    """,
    "math": """
        math.sqrt(<float>)  math.fabs(<float>)  math.exp(<float>)  math.log(<float>)
        math.sin(<float>)  math.cos(<float>)  math.tan(<float>)  math.tanh(<float>)
        math.log2(<float>)  math.log10(<float>)  math.log1p(<float>)  math.expm1(<float>)
        math.degrees(<float>)  math.radians(<float>)  math.atan(<float>)  math.asin(<float>)
        math.sqrt(<int>)  math.log(<int>)  math.log(<float>, 2)  math.pi  math.e  math.tau
        math.pow(<float>, <float>)  math.pow(<int>, <small>)  math.fmod(<float>, 3)
        math.atan2(<float>, <float>)  math.copysign(<float>, <float>)  math.inf  math.nan
        math.copysign(1.0, <float>)  math.fmod(<float>, <float>)  math.log(<int>, <int>)
    """,
    "helpers": "h_float(<float>)  h_float(<int>, scale=<float>)",
    "rows": """row.get("f", <float>)  row.get("absent", <float>)  row.get("g")""",
    "rare": """
        round(<float>, <index>)  max(<float>, <int>)  float()  (+<float>)  min(<int>, <float>)
        pow(<float>, 2)  sum((<float>, <float>))  math.cbrt(<float>)  math.hypot(<float>, <float>)
        (<int> ** -<small>)  math.remainder(<float>, <float>)  math.ldexp(<float>, <small>)
        (<datetime> - <datetime>).total_seconds()  <datetime>.timestamp()  math.sqrt(<str>)
        math.gamma(<float>)  math.dist((<float>,), (<float>,))  math.exp2(<float>)  math.fsum(())
        math.nextafter(<float>, 0.0)  float(None)  abs(<str>)  math.modf(<float>)[0]
    """,
}
_STR = {
    "core": """
        (<str> + <str>)  (<str> + <word>)  (<str> if <bool> else <str>)  (<str> or <word>)
        (<str> and <str>)
    """,
    "builtins": """
        str(<int>)  str(<float>)  str(<bool>)  str(<str>)  min(<str>, <str>)  max(<str>, <word>)
        str(<int> + <float>)
    """,
    "strings": """
        <str>.lower()  <str>.upper()  <str>.strip()  <str>.lstrip()  <str>.rstrip()
        <str>.strip(<word>)  <str>.replace(<word>, <word>)  <str>.lstrip(<word>)
        <str>.rstrip(<word>)  <str>.replace(<str>, <str>)  <str>.replace(<word>, <word>, <index>)
        <parts>[0]  <str>.split()[0]  <parts>[<index>]  "-".join(<parts>)
        <str>.split(<separator>, 1)[0]  <str>.lower().strip()  <str>.lower()  <str>.upper()
        <str>.strip()  <str>.removeprefix(<word>)  <str>.removesuffix(<word>)
        ",".join((<str>, <str>))  <word>.join([<str>, <str>, <word>])
    """,
    "slices": """
        <str>[<index>:]  <str>[:<index>]  <str>[<index>:<index>]  <str>[::-1]  <str>[<index>]
        <str>[::<index>]  <str>[<index>:<index>:<index>]  <str>[:]  <str>[<int>]  <str>[:<int>]
        <str>[<small>:<int>]  <str>[-<small>:]  <str>[<small>:None]  <str>[<int>:<int>:<index>]
    """,
    "formats": '''
        f"""{<int>}"""  f"""{<float>}"""  f"""{<str>}"""  f"""{<bool>}"""
        f"""<text>{<str>}<text>"""  f"""{<int>}-{<str>}"""  f"""{<float>:<float_spec>}"""
        f"""{<int>:<int_spec>}"""  f"""{<str>:<str_spec>}"""  f"""{<float>:.2f}"""
        f"""{<int>}{<float>}{<bool>}"""  f"""{<float>:.<small>f}"""  f"""{<int>:05d}"""
        f"""{<float>:8.3f}"""  f"""{<int>:.1f}"""  f"""{<str>:6}<text>"""
    ''',
    "dates": '''
        <moment>.isoformat()  str(<moment>)  f"""{<date>}"""
        f"""{<moment>.year:04}-{<moment>.month:02}"""  <moment>.isoformat()[:10]
    ''',
    "helpers": "h_str(<str>)  h_str(<str>, <str>)  h_str(<str>, suffix=<word>)",
    "rows": """row.get("s", <str>)  row.get("absent", <word>)  row.get("t")""",
    "rare": '''
        str()  repr(<str>)  chr(<small>)  <str>.title()  <str>.capitalize()  <str>.casefold()
        <str>.swapcase()  <str>.zfill(<small>)  <str>.ljust(<small>)  <str>.center(9)
        <str>.rsplit(",")[0]  <str>.partition(<separator>)[2]  (<str> * <small>)
        <str>.split(None, 1)[0]  <str>.translate({97: "b"})  <str>.expandtabs()  ascii(<str>)
        f"""{<int>:<float_spec>}"""  f"""{<bool>:<int_spec>}"""  f"""{<str>!r}"""
        f"""{<float>!r}"""  f"""{<str>!s:<str_spec>}"""  f"""{<str>!a}"""
        f"""{<bool>:<str_spec>}"""  "%s" % <str>  "%d" % <int>  "{}".format(<int>)
        format(<float>, ".2f")  <date>.strftime("%Y")  str(<parts>)  f"""{row}"""  str(row)
        <str>[<float>]  <str>.strip(<int>)  <str>.replace(<word>)  <int>.lower()  f"""{<str>=}"""
        f"""{<float>:{<small>}}"""  bytes(<str>, "utf-8").hex()  (<str> % ())  min(<str>)
    ''',
}
_COMPARISONS = ("<", "<=", "==", "!=", ">", ">=")
_BOOL = {
    "core": "  ".join(
        f"(<{kind}> {op} <{kind}>)" for kind in ("int", "float", "str") for op in _COMPARISONS
    )
    + """
        (<bool> and <bool>)  (<bool> or <bool>)  (not <bool>)  (not <any>)  (<int> < <int> < <int>)
        (<float> <= <int> < <float>)  (<int> != <float>)  (<bool> == <bool>)  (<bool> & <bool>)
        (<bool> | <bool>)  (<bool> ^ <bool>)  (<column> is None)  (<column> is not None)
        (<int> == <bool>)  (<any> == <any>)  (<bool> if <bool> else <bool>)  (<str> in <str>)
        (<word> not in <str>)  (not (<int> and <str>))  (<int> == <int> != <float> < <float>)
        (<str> < <str> <= <str>)  (<column> == None)  (not not <any>)
    """,
    "constants": """
        (<int> in (1, 2, 3))  (<int> not in (0, -1))  (<str> in ("a", "b", ""))
        (<int> in {1, 2, 5})  (<str> in {"a", "ab", "É"})  (<str> not in ["a", "x"])
        (<float> in (0, 1.5))  (<float> in {0.0, 2.5})  (<int> in (1, True, 2.0))
        (<any> in (None, 1, "a"))  (<bool> in (True,))  (<int> in CHOICES)
        (0 < <int> in (1, 2, 3))  (<any> in {None, 1, "a", 2.5})  (<str> in WORDS)
        (<any> not in WORDS)  (<column> in (None, 0))  (<float> in {1, 2, 2**53})
    """,
    "builtins": "bool(<int>)  bool(<float>)  bool(<str>)  bool(<bool>)",
    "strings": """
        <str>.startswith(<word>)  <str>.endswith(<word>)  <str>.startswith(<str>)
        <str>.startswith(("a", "b"))  <str>.endswith(("c", ""))  (<word> in <parts>)
    """,
    "math": """
        math.isnan(<float>)  math.isinf(<float>)  math.isfinite(<float>)  math.isnan(<int>)
        math.isfinite(<int>)
    """,
    "dates": """
        (<datetime> < <datetime>)  (<date> == <date>)  (<date> >= <date>)
        (<datetime> != <datetime>)  (<datetime>.year in (1970,))  (<moment>.month == <small>)
    """,
    "helpers": "h_bool(<int>, <float>)  h_bool(<int>)",
    "rows": """row.get("p", <bool>)  row.get("absent", False)  ("a" in row)  ("no" in row)""",
    "rare": """
        (<any> is None)  (<bool> is <bool>)  (<bool> is True)  (<int> in ())  (<int> in [<int>, 2])
        bool()  <str>.isdigit()  <str>.startswith(<word>, <index>)  <str>.isupper()
        <str>.isspace()  <str>.isalpha()  <str>.islower()  <str>.isascii()  bool(<parts>)
        (<parts> == <parts>)  math.isclose(<float>, <float>)  (<moment> == <moment>)
        isinstance(<any>, int)  (<any> == row)  (row is None)  (<str> in (<str>, "a"))  (~<bool>)
        (<int> < <str>)  (<column> < None)  (<int> in <str>)  (<any> in <int>)  callable(<any>)
    """,
}
_PARTS = {
    "strings": """
        <str>.split(<separator>)  <str>.split()  <str>.split(<separator>, <index>)
        <str>.split(None)  (<parts> if <bool> else <parts>)
    """,
    "rare": "<str>.rsplit(<separator>, 1)  <str>.splitlines()  <str>.split(sep=<separator>)",
}
_DATETIME = {
    "dates": """
        <datetime>  (<datetime> if <bool> else <datetime>)  min(<datetime>, <datetime>)
        max(<datetime>, <datetime>)
    """,
    "rare": "<datetime>.replace(microsecond=0)",
}
_DATE = {
    "dates": """
        <datetime>.date()  <date>  (<date> if <bool> else <date>)  max(<date>, <date>)
        <datetime>.date()
    """,
    "rare": "<date>.replace(day=1)",
}
_BY_KIND = {
    "int": _INT,
    "float": _FLOAT,
    "str": _STR,
    "bool": _BOOL,
    "parts": _PARTS,
    "datetime": _DATETIME,
    "date": _DATE,
    "any": {"core": "<int>  <float>  <str>  <bool>"},
    "moment": {"dates": "<datetime>  <date>"},
}
GRAMMAR = {
    kind: {feature: templates(text) for feature, text in by_feature.items()}
    for kind, by_feature in _BY_KIND.items()
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

# How often the features of a family are used, beside the core at 1.
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
